/** Where edge and workers ask whether to go on: the moments at which the plan strikes. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import type { JobPlan, Plan, Point, Strike } from "./plan.ts";

/** What a part says of where it is. */
interface Said {
	point: Point;
	/** The job's id, if the part knows no index. */
	job?: string;
	/** SHA-256 of the idempotency key. */
	key?: string | null;
	index?: number;
	tokens?: number;
	/** Of the worker that says it. */
	port?: number;
}

/** Does what was planned. @returns false where it could not, so that it is tried again when the job comes by again */
export type Striker = (strike: Strike, said: { port: number }) => boolean;

export class Control {
	readonly #plan: Plan;
	readonly #strike: Striker;
	readonly #byName = new Map<string, number>();
	readonly #done = new Set<Strike>();
	readonly #server = createServer(async (request, response) => {
		if (this.#hear(JSON.parse(await text(request))))
			response.writeHead(204).end();
	});
	url = "";

	constructor(plan: Plan, strike: Striker) {
		this.#plan = plan;
		this.#strike = strike;
		for (const { by, name, index } of plan.jobs)
			this.#byName.set(by === "id" ? name : sha256(name), index);
	}

	async listen(): Promise<void> {
		this.#server.listen(0, "127.0.0.1");
		await once(this.#server, "listening");
		this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
	}

	async stop(): Promise<void> {
		this.#server.close();
		this.#server.closeAllConnections();
		await once(this.#server, "close");
	}

	/** Strikes that the plan has and nobody came by for. */
	get left(): { job: number; strike: Strike }[] {
		return this.#plan.jobs.flatMap(({ index, strikes }) =>
			strikes
				.filter((strike) => !this.#done.has(strike))
				.map((strike) => ({ job: index, strike })),
		);
	}

	/** @returns whether to go on. What waits for its death must not, nor what dies of something else before its turn. */
	#hear({ point, job = "", key, index, tokens = 0, port = 0 }: Said): boolean {
		const known =
			index ?? this.#byName.get(job) ?? (key ? this.#byName.get(key) : null);
		if (known === null || known === undefined) return true;
		this.#byName.set(job, known);
		const { strikes } = this.#plan.jobs[known] as JobPlan;
		const due = strikes.find(
			(strike) =>
				strike.point === point &&
				tokens >= strike.tokens &&
				!this.#done.has(strike),
		);
		if (!due) return true;
		if (this.#strike(due, { port })) this.#done.add(due);
		return !due.blow.startsWith("kill");
	}
}

const sha256 = (text: string): string =>
	createHash("sha256").update(text).digest("hex");
