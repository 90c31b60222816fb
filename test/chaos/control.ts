/** Where edge and workers ask whether to go on: the moments at which the plan strikes. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
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

const AGAIN_MS = 50;

/** Does what was planned. @returns false where it could not, so that it is tried again */
export type Striker = (strike: Strike, said: { port: number }) => boolean;

export class Control {
	readonly #plan: Plan;
	readonly #strike: Striker;
	readonly #byName = new Map<string, number>();
	readonly #done = new Set<Strike>();
	readonly #server = createServer(async (request, response) => {
		const said: Said = JSON.parse(await text(request));
		// A part that is only starting answers calls too; it waits here until it can be struck.
		while (!response.destroyed) {
			const verdict = this.#hear(said);
			if (verdict === "go on") return response.writeHead(204).end();
			if (verdict === "dies") return;
			await sleep(AGAIN_MS);
		}
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

	/** What waits for its death must not go on, nor what dies of something else before its turn. */
	#hear({
		point,
		job = "",
		key,
		index,
		tokens = 0,
		port = 0,
	}: Said): "go on" | "dies" | "again" {
		const known =
			index ?? this.#byName.get(job) ?? (key ? this.#byName.get(key) : null);
		if (known === null || known === undefined) return "go on";
		this.#byName.set(job, known);
		const { strikes } = this.#plan.jobs[known] as JobPlan;
		const due = strikes.find(
			(strike) =>
				strike.point === point &&
				tokens >= strike.tokens &&
				!this.#done.has(strike),
		);
		if (!due) return "go on";
		const fell = this.#strike(due, { port });
		if (fell) this.#done.add(due);
		if (!due.blow.startsWith("kill")) return "go on";
		return fell ? "dies" : "again";
	}
}

const sha256 = (text: string): string =>
	createHash("sha256").update(text).digest("hex");
