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
import type { FinishReason } from "../contract/job.ts";
import type { Lease, ReleaseReason } from "../contract/pool.ts";
import type { Config } from "../env.ts";
import { wire } from "../errors.ts";
import { presignGet } from "../images/s3.ts";
import { priceOf } from "../pricing/bill.ts";
import { sleep } from "../time.ts";
import { childOf } from "../trace.ts";
import { PendingBatch } from "./batch.ts";
import type { Batch, Turn } from "./log.ts";
import type { JobRecord, Prompt } from "./record.ts";
import type { JobChange, JobError } from "./state.ts";
import { messagesOf, type Room, roomOf, samplingOf } from "./turns.ts";

/** Takes the parts of an attempt's stream. */
export interface AttemptSink {
	/** The backend began a run that a later attempt can resume by this id. */
	begun(run: string): void;
	/** The turn's prompt as token ids, which are written with its first tokens. */
	prompt(prompt: Prompt): void;
	/** Writes at once and resolves when the batch is durable and shown. */
	commit(batch: Batch): Promise<void>;
	/** Milliseconds until the next batch. */
	pace(): number;
}

export type AttemptEnd =
	/** The turn is whole. `rest` is not in the log yet: its end and its last tokens are one write. */
	| { type: "finished"; reason: FinishReason; rest: Batch | null }
	/** `maxPrice` does not pay the prompt and one token, which need `least` micro-USD. */
	| { type: "too_dear"; maxPrice: number; least: number }
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
	const { spec, state, turn, written } = record;
	const { withheld, tokens } = written;
	const expected = expectedPrompt(record, backend);
	const room = roomAfter(record, expected);
	if (room.tokens <= 0) return endWithoutRoom(record, room, expected);
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
	const pending = new PendingBatch(samplingOf(spec, turn).stop, withheld);
	const fits = ({ tokens }: Prompt, { prompt, sampling }: Generation) => {
		const isPaid = backend.continues
			? roomAfter(record, tokens).tokens >= sampling.max_tokens
			: tokens <= spec.mostPromptTokens;
		if (isPaid || (backend.continues && "messages" in prompt)) return isPaid;
		// A prompt that was counted before is longer now, or than any of its text can be.
		throw new BackendError("backend_failed", "the prompt is too long");
	};
	let generation = generationOf(record, lease, urls, room.tokens);
	let { reason } = room;
	for (;;) {
		const end = await stream(
			backend,
			generation,
			reason,
			fits,
			pending,
			sink,
			signal,
		);
		if (end.type !== "longer")
			return fillsContext(end, tokens) ? full(record, "length") : end;
		// The same prompt goes back, with the room that it leaves.
		const { prompt } = end;
		const left = roomAfter(record, prompt.tokens);
		if (left.tokens <= 0) return endWithoutRoom(record, left, prompt.tokens);
		reason = left.reason;
		generation = {
			...generation,
			prompt: { promptIds: prompt.ids, committedIds: [] },
			sampling: { ...generation.sampling, max_tokens: left.tokens },
		};
	}
}

/** A turn that fills the context is complete, however often it was continued. */
const fillsContext = (end: AttemptEnd, written: number): boolean =>
	end.type === "failed" &&
	end.error.code === "context_length_exceeded" &&
	written > 0;

/**
 * The tokens of the turn's prompt as far as they are known before the backend counts them: for a
 * backend that counts them before the first token none, and for one that counts them at the end as
 * many as there can be.
 */
function expectedPrompt(
	{ spec, state, written }: JobRecord,
	{ continues }: Backend,
): number {
	if (!continues) return spec.mostPromptTokens;
	return written.promptIds === null ? 0 : (state.promptTokens ?? 0);
}

const roomAfter = ({ spec, log, turn }: JobRecord, promptTokens: number) =>
	roomOf(spec, log, turn, promptTokens);

/** A job without a token that its price allows has failed; any other has its answer. */
function endWithoutRoom(
	record: JobRecord,
	{ reason, isPaid }: Room,
	promptTokens: number,
): AttemptEnd {
	const { maxPrice, prices, images } = record.spec;
	if (isPaid || record.log.tokens > 0) return full(record, reason);
	const least = priceOf(prices.rates, {
		prompt_tokens: promptTokens,
		output_tokens: 1,
		images: images.length,
	});
	return { type: "too_dear", maxPrice, least };
}

/** The end of a turn that may have no more tokens. */
function full(
	{ written: { withheld } }: JobRecord,
	reason: FinishReason,
): AttemptEnd {
	const rest = { text: withheld, ids: [], tokens: 0, withheld: "" };
	return { type: "finished", reason, rest: withheld ? rest : null };
}

/**
 * Reads until the answer or the stream ends. Tokens that came before a failure are in the log.
 * @param reason of an answer that has all tokens that were asked for
 * @param fits whether the prompt leaves room for all of them; where it does not, the stream is left
 * before its first token
 * @throws whatever the sink throws
 */
async function stream(
	backend: Backend,
	generation: Generation,
	reason: Room["reason"],
	fits: (prompt: Prompt, generation: Generation) => boolean,
	pending: PendingBatch,
	sink: AttemptSink,
	signal: AbortSignal,
): Promise<AttemptEnd | { type: "longer"; prompt: Prompt }> {
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
	const finished = (reason: FinishReason): AttemptEnd => ({
		type: "finished",
		reason,
		rest: pending.rest(),
	});

	try {
		const either = AbortSignal.any([signal, sinkBroke.signal]);
		for await (const event of backend.generate(generation, either)) {
			if (event.type === "begun") sink.begun(event.run);
			else if (event.type === "prompt") {
				if (!fits(event, generation)) return { type: "longer", prompt: event };
				sink.prompt(event);
			} else if (event.type === "done")
				return finished(
					event.reason === "length" && left === 0 ? reason : event.reason,
				);
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

/**
 * @param urls presigned GETs of the images, made for this attempt
 * @param maxTokens that the turn may still have
 */
function generationOf(
	{ spec, state, log, turn, written }: JobRecord,
	lease: Lease,
	urls: string[],
	maxTokens: number,
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
			max_tokens: maxTokens,
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
		case "too_dear": {
			const { maxPrice, least } = end;
			const failure = {
				code: "max_price_too_low",
				field: "max_price",
				max_price: maxPrice,
				least,
			} as const;
			const { code, field } = failure;
			const error = { code, field, message: wire(failure).detail };
			return { type: "failed", error, retry: false, tokens, random };
		}
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
