/**
 * One caller with one job: creates it however often it takes, reads it through whatever breaks, and
 * does to it what the plan says.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { LogEvent } from "../../src/contract/job.ts";
import type { Asked } from "../support/invariants.ts";
import type { KnownAccount } from "./accounts.ts";
import type { JobPlan } from "./plan.ts";

/** What a caller lives to tell. */
export interface Story {
	asked: Asked;
	/** Each reader's events, over all its connections. */
	readings: LogEvent[][];
	/** Answers that no promise allows. */
	surprises: string[];
}

export interface Tally {
	/** Calls made again because no good answer came. */
	retries: number;
	/** Those of them for which the account had too little left. */
	poor: number;
	/** Streams taken up again. */
	resumes: number;
	events: number;
	/** Jobs by how they ended, as their callers saw it. */
	ended: Record<string, number>;
}

export interface Request {
	url: string;
	account: KnownAccount;
	body: object;
	/** How it may end, and with which text; null where nobody can know. */
	ends: string[];
	text: (ended: string | null) => string | null;
	/** Says to give up. */
	signal: AbortSignal;
	tally: Tally;
	/** Whether all that was planned to befall the job did. */
	struck: () => boolean;
	/** Told how many `token` events the first reader has seen. */
	onToken?: (tokens: number) => void;
}

// biome-ignore lint/suspicious/noExplicitAny: the wire is what these tests look at
type Answer = { status: number; headers: Headers; body: any };

const AGAIN_MS = 150;

export class Caller {
	readonly #plan: JobPlan;
	readonly #request: Request;
	readonly #ids: string[] = [];
	readonly #surprises: string[] = [];
	readonly #readings: LogEvent[][] = [];

	constructor(plan: JobPlan, request: Request) {
		this.#plan = plan;
		this.#request = request;
	}

	async live(): Promise<Story> {
		const plan = this.#plan;
		const request = this.#request;
		let ended: string | null = null;
		try {
			if (plan.end === "abandon") await this.#abandon();
			else ended = await this.#whole();
		} catch (error) {
			if (!request.signal.aborted) this.#surprise(String(error));
			else this.#surprise("it did not end in time");
		}
		if (ended)
			request.tally.ended[ended] = (request.tally.ended[ended] ?? 0) + 1;
		return {
			asked: {
				account: request.account.id,
				name: `job ${plan.index}, ${plan.by} ${plan.name}`,
				ids: this.#ids,
				text: request.text(ended),
				ends: request.ends,
			},
			readings: this.#readings,
			surprises: this.#surprises,
		};
	}

	/** Calls until somebody answers, or hangs up in the middle; and is never heard of again. */
	async #abandon(): Promise<void> {
		for (;;) {
			const answer = await this.#try(this.#creation());
			if (answer) this.#ids.push(idOf(answer));
			await answer?.body?.cancel().catch(() => {});
			if (answer || this.#request.struck()) return;
		}
	}

	/** @returns how it ended */
	async #whole(): Promise<string> {
		const plan = this.#plan;
		const first = await this.#create();
		const id = this.#ids[0] as string;
		const beside = together([
			...plan.repeats.map((ms) => this.#repeat(ms)),
			...plan.readers.map(async ({ ms, hangUps }) => {
				await this.#sleep(ms);
				this.#readings.push(await this.#read(id, hangUps));
			}),
		]);
		if (plan.end === "leave") {
			await this.#read(id, plan.hangUps, first, plan.endAfter);
			await beside;
		} else {
			const canceled: { by: Promise<unknown> } = { by: beside };
			const read = await this.#read(
				id,
				plan.hangUps,
				first,
				Number.POSITIVE_INFINITY,
				(tokens) => {
					this.#request.onToken?.(tokens);
					if (plan.end === "cancel" && tokens === plan.endAfter)
						canceled.by = together([this.#cancel(id)]);
				},
			);
			this.#readings.push(read);
			await Promise.all([beside, canceled.by]);
		}
		const job = await this.#ended(id);
		if (!this.#request.ends.includes(job.status))
			this.#surprise(
				`${job.status}, ${job.error?.code ?? "no error"}: ${this.#lived()}`,
			);
		await this.#conflict();
		if (plan.end === "delete") await this.#delete(id);
		else await this.#repeat(0);
		return job.status;
	}

	/** What a reader saw of the job's life, on one line. */
	#lived(): string {
		const [events = []] = this.#readings;
		return events
			.map(({ type, data }) =>
				type === "token" ? "." : `${type} ${JSON.parse(data).reason ?? ""}`,
			)
			.join(", ");
	}

	/** Until it is answered. @returns the stream, where that was asked for */
	async #create(): Promise<Response | null> {
		for (;;) {
			const answer = await this.#try(this.#creation());
			if (!answer) continue;
			this.#ids.push(idOf(answer));
			const type = answer.headers.get("Content-Type") ?? "";
			if (type.startsWith("text/event-stream")) return answer;
			await answer.body?.cancel().catch(() => {});
			return null;
		}
	}

	/** The same once more: it must be the same job. */
	async #repeat(ms: number): Promise<void> {
		await this.#sleep(ms);
		const plan = this.#plan;
		const answer = await this.#until(
			{ ...this.#creation(), accept: "application/json", prefer: null },
			[200, 202, ...(plan.end === "delete" ? [410] : [])],
		);
		if (answer.status === 410) return;
		this.#ids.push(answer.body.id);
		if (answer.headers.get("Idempotent-Replayed") !== "true")
			this.#surprise("a repeat is not marked as one");
	}

	/** Another body under the same name. */
	async #conflict(): Promise<void> {
		const creation = this.#creation();
		const body = { ...(creation.body as object), temperature: 1.5 };
		const answer = await this.#until(
			{ ...creation, body, accept: "application/json", prefer: null },
			[409],
		);
		const code =
			this.#plan.by === "id" ? "id_conflict" : "idempotency_conflict";
		if (answer.body.code !== code) this.#surprise(`409 ${answer.body.code}`);
	}

	async #cancel(id: string): Promise<void> {
		const call = { method: "POST", path: `/jobs/${id}/cancel` };
		await this.#until(call, [200, 202]);
	}

	async #delete(id: string): Promise<void> {
		const call = { method: "DELETE", path: `/jobs/${id}` };
		await this.#until(call, [204]);
		await this.#until({ method: "GET", path: `/jobs/${id}` }, [410]);
		const again = { ...this.#creation(), accept: "application/json" };
		await this.#until({ ...again, prefer: null }, [410]);
	}

	/** What it is once it ended; it must be what the readers saw. */
	async #ended(id: string): Promise<Answer["body"]> {
		for (;;) {
			const { body } = await this.#until(
				{ method: "GET", path: `/jobs/${id}` },
				[200],
			);
			if (body.finished_at === null) {
				await this.#sleep(AGAIN_MS);
				continue;
			}
			for (const events of this.#readings) {
				const done = JSON.parse(events.at(-1)?.data ?? "{}");
				const same =
					body.last_seq === done.last_seq && body.sha256 === done.sha256;
				if (!same) this.#surprise("GET shows another job than the stream");
			}
			return body;
		}
	}

	/** To the end, or until so many tokens were seen; hangs up and comes back as planned. */
	async #read(
		id: string,
		hangUps: JobPlan["hangUps"],
		first: Response | null = null,
		most = Number.POSITIVE_INFINITY,
		onToken: (tokens: number) => void = () => {},
	): Promise<LogEvent[]> {
		const events: LogEvent[] = [];
		const plan = [...hangUps];
		let tokens = 0;
		let answer = first;
		onToken(0);
		for (;;) {
			const hangUp = plan[0];
			const until =
				events.length + (hangUp?.events ?? Number.POSITIVE_INFINITY);
			for await (const event of streamOf(answer)) {
				events.push(event);
				this.#request.tally.events++;
				if (event.type === "token") {
					tokens++;
					onToken(tokens);
				}
				if (tokens >= most || events.length >= until) break;
			}
			if (events.at(-1)?.type === "done" || tokens >= most) return events;
			if (events.length >= until) {
				plan.shift();
				await this.#sleep(hangUp?.ms ?? 0);
			}
			const seq = events.at(-1)?.seq ?? 0;
			if (answer) this.#request.tally.resumes++;
			answer = await this.#try({
				method: "GET",
				path: `/jobs/${id}/events`,
				after: seq,
			});
			// Between a canceled job's last event and `done` there may be none to see.
			if (answer?.status === 204) {
				this.#surprise(`204 after event ${seq}, which is not \`done\``);
				return events;
			}
		}
	}

	#creation(): Call {
		const plan = this.#plan;
		return {
			...(plan.by === "id"
				? { method: "PUT", path: `/jobs/${plan.name}` }
				: { method: "POST", path: "/jobs", idempotencyKey: plan.name }),
			body: this.#request.body,
			accept:
				plan.create === "stream" ? "text/event-stream" : "application/json",
			prefer: plan.create === "wait" ? "wait=2" : null,
			cancelAfter: plan.end === "expire" ? "5s" : null,
		};
	}

	/** Repeats the call until it is answered with one of these. */
	async #until(call: Call, expected: number[]): Promise<Answer> {
		for (;;) {
			const answer = await this.#try(call, expected);
			if (!answer) continue;
			const { status, headers } = answer;
			try {
				const text = await answer.text();
				return { status, headers, body: text ? JSON.parse(text) : null };
			} catch {} // it broke while it was read
		}
	}

	/** One try. @returns null where it is worth another one, which is after a while */
	async #try(
		call: Call,
		expected: number[] = [200, 202, 204],
	): Promise<Response | null> {
		const { signal, tally } = this.#request;
		let wait = AGAIN_MS;
		try {
			const answer = await this.#send(call, signal);
			if (expected.includes(answer.status)) return answer;
			const text = await answer.text();
			wait = Number(answer.headers.get("Retry-After") ?? 0) * 1000 || wait;
			// Other jobs hold what is left; when they end, this one is let in.
			const waits =
				answer.status === 402 && text.includes('"insufficient_credit"');
			if (waits) tally.poor++;
			if (answer.status < 500 && answer.status !== 429 && !waits)
				throw new Surprise(
					`${call.method} ${call.path} answered ${answer.status}: ${text.slice(0, 300)}`,
				);
		} catch (error) {
			if (error instanceof Surprise || signal.aborted) throw error;
		}
		tally.retries++;
		await this.#sleep(wait);
		return null;
	}

	#send(call: Call, signal: AbortSignal): Promise<Response> {
		const { url, account } = this.#request;
		const headers: Record<string, string | null | undefined> = {
			Authorization: `Bearer ${account.key}`,
			"Content-Type": call.body ? "application/json" : null,
			Accept: call.accept,
			Prefer: call.prefer,
			"Idempotency-Key": call.idempotencyKey,
			"Cancel-After": call.cancelAfter,
			"Last-Event-ID": call.after === undefined ? null : String(call.after),
		};
		return fetch(`${url}/v1${call.path}`, {
			method: call.method,
			headers: Object.entries(headers).filter(
				(header): header is [string, string] => typeof header[1] === "string",
			),
			body: call.body ? JSON.stringify(call.body) : null,
			signal,
		});
	}

	#sleep(ms: number): Promise<void> {
		return sleep(ms, undefined, { signal: this.#request.signal });
	}

	#surprise(what: string): void {
		this.#surprises.push(`job ${this.#plan.index}: ${what}`);
	}
}

interface Call {
	method: string;
	path: string;
	body?: object;
	accept?: string;
	prefer?: string | null;
	idempotencyKey?: string;
	cancelAfter?: string | null;
	after?: number;
}

/** All of them; one that fails while nobody waits yet is heard later. */
function together(promises: Promise<unknown>[]): Promise<unknown> {
	const all = Promise.all(promises);
	all.catch(() => {});
	return all;
}

class Surprise extends Error {}

const idOf = (answer: Response): string =>
	answer.headers.get("Location")?.split("/").at(-1) ?? "none";

/** The events of a stream, until it ends or breaks. */
async function* streamOf(answer: Response | null): AsyncGenerator<LogEvent> {
	if (!answer?.body) return;
	let text = "";
	const decoder = new TextDecoder();
	try {
		for await (const bytes of answer.body) {
			text += decoder.decode(bytes, { stream: true });
			const frames = text.split("\n\n");
			text = frames.pop() ?? "";
			for (const frame of frames) {
				const [, seq, type, data] =
					/^id: (\d+)\nevent: (\S+)\ndata: (.*)$/ms.exec(frame) ?? [];
				if (seq && type && data !== undefined)
					yield { seq: Number(seq), type, data };
			}
		}
	} catch {} // it broke: what came is what there is
}
