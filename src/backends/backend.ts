import type { Message } from "../contract/job.ts";
import type { Sampling } from "../contract/sampling.ts";
/** What a Job asks of a model backend, whatever protocol it speaks. */

export interface Generation {
	/** Job id and attempt; only for logs. */
	requestId: string;
	/** `<account>/<job id>`, for a backend that calls back. */
	job: string;
	/** W3C `traceparent` of this attempt. */
	trace: string | null;
	model: string;
	/** Separates tenants in the prefix cache. */
	cacheSalt: string;
	prompt:
		| { messages: Message[] }
		/** A later attempt: the ids a first one reported, and every output id in the log. */
		| { promptIds: number[]; committedIds: number[] };
	images: { id: string; url: string }[];
	/** The job's, with what is left of its `max_tokens` and the seed of this attempt. */
	sampling: Sampling;
	/** Takes up again what an earlier attempt began, after all that it said until now; null begins anew. */
	resume: { run: string; text: string; tokens: number } | null;
}

/** Ids come only from a backend that continues: elsewhere `ids` are empty, and `tokens` counts all the same. */
export type BackendEvent =
	/** The backend goes on with it, whoever listens: `resume` finds it by this name. Comes first, if at all. */
	| { type: "begun"; run: string }
	/** Before the first token; from a backend that does not continue at any time, or never. */
	| { type: "prompt"; ids: number[]; tokens: number }
	| { type: "token"; ids: number[]; tokens: number; text: string }
	| { type: "done"; reason: "stop" | "length" };

/** Why who listens to an attempt hangs up, as the reason of its signal: only after `over` nobody wants the rest. */
export type HangUp = "seam" | "lease_lost" | "over";

export interface Backend {
	/** Whether an attempt can go on from committed ids; without it a job restarts only if no token was shown, or resumes what was begun. */
	readonly continues: boolean;
	/**
	 * One attempt. Ends after `done`; abort the signal, with a `HangUp`, to end it early.
	 * @throws BackendError whatever goes wrong, the caller's abort excepted
	 */
	generate(
		generation: Generation,
		signal: AbortSignal,
	): AsyncIterable<BackendEvent>;
}

/** Why an attempt failed. */
export class BackendError extends Error {
	/** A code of the worker protocol, or `unreachable`, `broken_stream`, `silent`; `backend_failed` gives up. */
	readonly code: string;
	/** Whether another attempt may succeed; else the request itself is at fault. */
	readonly retry: boolean;
	/** Whether the worker as a whole seems to be away, or is another model's. */
	readonly down: boolean;
	readonly field: string | undefined;
	/** On `context_length_exceeded`. */
	readonly tokens: { prompt: number; context: number } | undefined;

	constructor(
		code: string,
		message: string,
		more: {
			field?: string | undefined;
			tokens?: { prompt: number; context: number } | undefined;
		} = {},
	) {
		super(message);
		this.code = code;
		this.retry = !FINAL.has(code);
		this.down = DOWN.has(code);
		this.field = more.field;
		this.tokens = more.tokens;
	}
}

/** No other attempt would end better. */
const FINAL = new Set([
	"invalid_request",
	"context_length_exceeded",
	"image_undecodable",
	"body_too_large",
	"backend_failed",
]);
const DOWN = new Set([
	"unreachable",
	"draining",
	"starting",
	"model_not_found",
]);
