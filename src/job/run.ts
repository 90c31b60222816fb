/** One attempt of a job, from its record: what to ask, and what its ending means for the job. */
import {
	type Backend,
	BackendError,
	type HangUp,
} from "../backends/backend.ts";
import type { Lease, Released } from "../contract/pool.ts";
import type { Config } from "../env.ts";

import { presignGet } from "../images/s3.ts";
import { type AttemptEnd, type AttemptSink, attempt } from "./attempt.ts";
import { generationOf, jobError } from "./generation.ts";
import type { JobRecord } from "./record.ts";
import type { JobChange } from "./state.ts";

/**
 * The backend's answer into the log, from where the log ends.
 * @throws whatever the sink or the signing of URLs throws
 */
export async function run(
	record: JobRecord,
	lease: Lease,
	backend: Backend,
	config: Config,
	sink: AttemptSink,
	signal: AbortSignal,
): Promise<AttemptEnd> {
	const { spec, log, state } = record;
	const full = (): AttemptEnd => ({
		end: "finished",
		reason: "length",
		rest: log.held ? { text: log.held, ids: [], tokens: 0, held: "" } : null,
	});
	if (log.tokens >= spec.sampling.max_tokens) return full();
	const goesOn = backend.continues
		? log.ids.length === log.tokens
		: state.run !== null;
	if (log.tokens > 0 && !goesOn)
		return {
			end: "failed",
			error: new BackendError("backend_failed", "cannot continue"),
		};
	const urls = await Promise.all(
		spec.images.map((image) => presignGet(config, image.key)),
	);
	const ending = await attempt(
		backend,
		generationOf(record, lease, urls),
		{ stops: spec.sampling.stop, held: log.held },
		sink,
		signal,
	);
	// An answer that fills the context is complete, however often it was continued.
	const filled =
		ending.end === "failed" &&
		ending.error.code === "context_length_exceeded" &&
		log.tokens > 0;
	return filled ? full() : ending;
}

/** @param random in [0, 1), spreads retries */
export function changeAfter(
	ending: AttemptEnd,
	hangUp: HangUp,
	tokens: number,
	random: number,
): JobChange {
	switch (ending.end) {
		case "finished":
			return { type: "finished", reason: ending.reason };
		case "aborted":
			return hangUp === "seam"
				? { type: "seam", tokens, random }
				: { type: "interrupted", tokens, random };
		case "failed": {
			const { error } = ending;
			const { retry } = error;
			return { type: "failed", error: jobError(error), retry, tokens, random };
		}
	}
}

/** What the Pool is told of the worker when the slot is given back; one that refuses a request is well. */
export function releasedAfter(ending: AttemptEnd): Released {
	if (ending.end !== "failed") return "finished";
	const { down, retry, code } = ending.error;
	if (down) return "down";
	return retry || code === "backend_failed" ? "failed" : "finished";
}
