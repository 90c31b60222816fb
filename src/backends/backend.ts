/** The interface between a Job and a model backend, the same for every protocol. */
import type { Message } from "../contract/job.ts";
import type { Sampling } from "../contract/sampling.ts";

/** One attempt at a job's answer. */
export interface Generation {
	/** Job id and attempt number, for the backend's logs. */
	requestId: string;
	/** `<account>/<job id>`, for a backend that calls back. */
	job: string;
	/** The W3C `traceparent` of this attempt. */
	trace: string | null;
	model: string;
	/** Separates tenants in the prefix cache. */
	cacheSalt: string;
	prompt:
		| { messages: Message[] }
		/**
		 * In a later attempt: the prompt ids that the first one reported, and the output ids in the
		 * log.
		 */
		| { promptIds: number[]; committedIds: number[] };
	images: { id: string; url: string }[];
	/** The job's parameters, with the rest of its `max_tokens` and the seed of this attempt. */
	sampling: Sampling;
	/**
	 * Resumes a run that an earlier attempt started. `text` and `tokens` are what the log holds of
	 * it. Null starts a new run.
	 */
	resume: { run: string; text: string; tokens: number } | null;
}

/**
 * Only a backend with `continues: true` reports token ids. The others leave `ids` empty and report
 * the count in `tokens`.
 */
export type BackendEvent =
	/**
	 * Comes first, from a backend whose runs outlive the connection. `resume` names the run by this
	 * id.
	 */
	| { type: "begun"; run: string }
	/** Comes before the first token if the backend continues; otherwise at any time, or never. */
	| { type: "prompt"; ids: number[]; tokens: number }
	| { type: "token"; ids: number[]; tokens: number; text: string }
	| { type: "done"; reason: "stop" | "length" };

/**
 * Why a Job stops listening to an attempt; the reason of the abort signal. After `over` the run is
 * not needed and may be canceled. After a planned `seam` and after `lease_lost` a later attempt
 * resumes it.
 */
export type AbortReason = "seam" | "lease_lost" | "over";

export interface Backend {
	/**
	 * Whether an attempt can continue from committed token ids. On a backend that cannot, a job
	 * resumes its run, or starts again if no token was shown.
	 */
	readonly continues: boolean;
	/**
	 * Runs one attempt. The stream ends after `done`. To end it early, abort the signal with an
	 * `AbortReason`.
	 * @throws BackendError on any failure except the caller's own abort
	 */
	generate(
		generation: Generation,
		signal: AbortSignal,
	): AsyncIterable<BackendEvent>;
}

/** Why an attempt failed. */
export class BackendError extends Error {
	/** One of `BACKEND_FAILURES`, or what a worker sent instead. */
	readonly code: string;
	/** Whether another attempt may succeed. */
	readonly retry: boolean;
	/** See `BACKEND_FAILURES`. */
	readonly down: boolean;
	readonly field: string | undefined;
	/** Present on `context_length_exceeded`. */
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
		const { final, down } = BACKEND_FAILURES.get(code) ?? RETRIED;
		this.retry = !final;
		this.down = down;
		this.field = more.field;
		this.tokens = more.tokens;
	}
}

interface BackendFailure {
	/** Whether every other attempt would fail in the same way. */
	final: boolean;
	/**
	 * Whether the worker takes no request of this model: it is unreachable, restarts, or serves
	 * another.
	 */
	down: boolean;
}

const FINAL: BackendFailure = { final: true, down: false };
const DOWN: BackendFailure = { final: false, down: true };
const RETRIED: BackendFailure = { final: false, down: false };

/** The codes of failed attempts. An attempt that fails with any other code is retried. */
export const BACKEND_FAILURES: ReadonlyMap<string, BackendFailure> = new Map(
	Object.entries({
		// The worker protocol's.
		invalid_request: FINAL,
		context_length_exceeded: FINAL,
		image_undecodable: FINAL,
		body_too_large: FINAL,
		unauthorized: RETRIED,
		image_unavailable: RETRIED,
		overloaded: RETRIED,
		engine_failed: RETRIED,
		model_not_found: DOWN,
		draining: DOWN,
		starting: DOWN,
		// What the edge finds itself.
		backend_failed: FINAL,
		broken_stream: RETRIED,
		silent: RETRIED,
		unreachable: DOWN,
	}),
);
