/**
 * One attempt of a job: what it asks of the backend, how the backend's stream gets into the log in
 * paced batches, and what its end means for the job and for the Pool.
 *
 * Runs in the Job object, as all of job/ does.
 */
import {
	type AbortReason,
	type Backend,
	BackendError,
	type Generation,
} from "../backends/backend.ts";
import type { Lease, ReleaseReason } from "../contract/pool.ts";
import type { Config } from "../env.ts";
import { wire } from "../errors.ts";
import { presignGet } from "../images/s3.ts";
import { sleep } from "../time.ts";
import { childOf } from "../trace.ts";
import { PendingBatch } from "./batch.ts";
import type { Batch, Turn } from "./log.ts";
import type { JobRecord } from "./record.ts";
import type { JobChange, JobError } from "./state.ts";
import { messagesOf, samplingOf, tokensLeft } from "./turns.ts";

/** Takes the parts of an attempt's stream. */
export interface AttemptSink {
	/** The backend began a run that a later attempt can resume by this id. */
	begun(run: string): void;
	/** The turn's prompt as token ids, which are written with its first tokens. */
	prompt(prompt: { ids: number[]; tokens: number }): void;
	/** Writes at once and resolves when the batch is durable and shown. */
	commit(batch: Batch): Promise<void>;
	/** Milliseconds until the next batch. */
	pace(): number;
}

export type AttemptEnd =
	/** The turn is whole. `rest` is not in the log yet: its end and its last tokens are one write. */
	| { type: "finished"; reason: "stop" | "length"; rest: Batch | null }
	/** The caller's signal aborted it. */
	| { type: "aborted" }
	| { type: "failed"; error: BackendError };

/**
 * Makes one attempt, which continues the turn where the log ends.
 * @throws whatever the sink or the signing of URLs throws
 */
export async function runAttempt(
	record: JobRecord,
	lease: Lease,
	backend: Backend,
	config: Config,
	sink: AttemptSink,
	signal: AbortSignal,
): Promise<AttemptEnd> {
	const { spec, log, state, turn, written } = record;
	const { withheld, tokens } = written;
	const isFull = (): AttemptEnd => ({
		type: "finished",
		reason: "length",
		rest: withheld
			? { text: withheld, ids: [], tokens: 0, withheld: "" }
			: null,
	});
	if (tokensLeft(spec, log, turn) <= 0) return isFull();
	const canContinue = backend.continues
		? written.ids.length === tokens
		: state.run !== null;
	if (tokens > 0 && !canContinue)
		return {
			type: "failed",
			error: new BackendError("backend_failed", "cannot continue"),
		};
	const urls = await Promise.all(
		spec.images.map((image) => presignGet(config, image.key)),
	);
	const end = await stream(
		backend,
		generationOf(record, lease, urls),
		new PendingBatch(samplingOf(spec, turn).stop, withheld),
		sink,
		signal,
	);
	// A turn that fills the context is complete, however often it was continued.
	const fillsContext =
		end.type === "failed" &&
		end.error.code === "context_length_exceeded" &&
		written.tokens > 0;
	return fillsContext ? isFull() : end;
}

/**
 * Reads until the answer or the stream ends. Tokens that came before a failure are in the log.
 * @throws whatever the sink throws
 */
async function stream(
	backend: Backend,
	generation: Generation,
	pending: PendingBatch,
	sink: AttemptSink,
	signal: AbortSignal,
): Promise<AttemptEnd> {
	const sinkBroke = new AbortController();
	let left = generation.sampling.max_tokens;
	let isFlushing = false;
	let isOver = false;

	/** Writes the first token at once, then a batch at each pace, until no token is left. */
	const flush = async () => {
		isFlushing = true;
		try {
			while (!isOver) {
				const batch = pending.take();
				if (!batch) break;
				await sink.commit(batch);
				await sleep(sink.pace());
			}
		} catch (error) {
			sinkBroke.abort(error);
		}
		isFlushing = false;
	};
	const finished = (reason: "stop" | "length"): AttemptEnd => ({
		type: "finished",
		reason,
		rest: pending.rest(),
	});

	try {
		const either = AbortSignal.any([signal, sinkBroke.signal]);
		for await (const event of backend.generate(generation, either)) {
			if (event.type === "begun") sink.begun(event.run);
			else if (event.type === "prompt") sink.prompt(event);
			else if (event.type === "done") return finished(event.reason);
			else {
				left -= event.tokens;
				// The answer may be wrong: nothing says which tokens belong to it.
				if (left < 0)
					throw new BackendError(
						"backend_failed",
						"the backend sent more tokens than `max_tokens`",
					);
				if (pending.add(event)) return finished("stop");
				if (!isFlushing) void flush();
			}
		}
		throw new BackendError("broken_stream", "the stream ended without `done`");
	} catch (error) {
		isOver = true;
		if (sinkBroke.signal.aborted) throw sinkBroke.signal.reason;
		const seen = pending.take();
		if (seen) await sink.commit(seen);
		if (signal.aborted) return { type: "aborted" };
		if (error instanceof BackendError) return { type: "failed", error };
		throw error;
	} finally {
		isOver = true;
	}
}

/** @param urls presigned GETs of the images, made for this attempt */
function generationOf(
	{ spec, state, log, turn, written }: JobRecord,
	lease: Lease,
	urls: string[],
): Generation {
	const { promptIds, ids, text, withheld, tokens } = written;
	const sampling = samplingOf(spec, turn);
	return {
		requestId: `${spec.id}-${state.attempts}`,
		job: `${spec.account}/${spec.id}`,
		trace: spec.trace && childOf(spec.trace),
		model: spec.model,
		cacheSalt: spec.cacheSalt,
		prompt:
			promptIds && ids.length > 0
				? { promptIds, committedIds: ids }
				: { messages: messagesOf(spec, log, turn) },
		images: spec.images.map((image, n) => ({
			// Another tenant, or other weights, never meet the same cache entry.
			id: `${image.cacheId}.${lease.digest}`,
			url: urls[n] as string,
		})),
		sampling: {
			...sampling,
			max_tokens: tokensLeft(spec, log, turn),
			seed: attemptSeed(sampling.seed, log.tokens),
		},
		resume:
			state.run === null
				? null
				: { run: state.run, text: text + withheld, tokens },
	};
}

/**
 * The seed of an attempt that continues after `committed` tokens. The first attempt uses the job's
 * seed. A later one uses a hash of seed and token count, so that it repeats no random numbers, and
 * every retry from that token has the same seed.
 */
export function attemptSeed(seed: number, committed: number): number {
	if (committed === 0) return seed;
	// The finalizer of MurmurHash3 over both words.
	let h = seed ^ Math.imul(committed, 0x9e3779b1);
	h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
	h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
	return (h ^ (h >>> 16)) >>> 0;
}

/**
 * What the end of an attempt means for its job.
 * @param turn of the attempt
 * @param abortReason why the attempt was aborted, where it was
 * @param random in [0, 1); spreads retries
 */
export function changeAfter(
	end: AttemptEnd,
	turn: Turn,
	abortReason: AbortReason,
	tokens: number,
	random: number,
): JobChange {
	switch (end.type) {
		case "finished":
			return turn === "description"
				? { type: "described", tokens: tokens + (end.rest?.tokens ?? 0) }
				: { type: "finished", reason: end.reason };
		case "aborted":
			return abortReason === "seam"
				? { type: "seam", tokens, random }
				: { type: "interrupted", tokens, random };
		case "failed": {
			const { error } = end;
			const { retry } = error;
			return { type: "failed", error: jobError(error), retry, tokens, random };
		}
	}
}

/**
 * What the Pool learns of the worker from the end of an attempt. A worker that refuses a request is
 * healthy.
 */
export function releasedAfter(end: AttemptEnd): ReleaseReason {
	if (end.type !== "failed") return "finished";
	const { down, retry, code } = end.error;
	if (down) return "down";
	return retry || code === "backend_failed" ? "failed" : "finished";
}

/**
 * A backend's failure as an error of this API. Codes that the worker protocol does not name are
 * always retried.
 */
function jobError(error: BackendError): JobError {
	const { code, field, tokens } = error;
	if (error.retry) return { code, message: "" };
	switch (code) {
		case "backend_failed":
			return { code, message: wire({ code }).detail };
		case "context_length_exceeded":
			return {
				code,
				message: wire({
					code,
					tokens: tokens ? tokens.prompt + 1 : 0,
					context_length: tokens?.context ?? 0,
				}).detail,
			};
		case "image_undecodable":
			return {
				code,
				message: wire({ code, field: field ?? "images" }).detail,
				field: field ?? "images",
			};
		default:
			return {
				code: "invalid_request",
				message: `The model refused the request: ${error.message}`,
				...(field && { field }),
			};
	}
}
