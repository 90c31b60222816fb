/** What an attempt asks of the backend, from the job's spec and its log. */
import type { BackendError, Generation } from "../backends/backend.ts";
import type { Lease } from "../contract/pool.ts";
import { wire } from "../errors.ts";
import { childOf } from "../trace.ts";
import type { JobRecord } from "./record.ts";
import { attemptSeed } from "./seed.ts";
import type { JobError } from "./state.ts";

/** @param urls presigned GETs of the images, made for this attempt */
export function generationOf(
	{ spec, state, log, promptIds }: JobRecord,
	lease: Lease,
	urls: string[],
): Generation {
	const { sampling } = spec;
	return {
		requestId: `${spec.id}-${state.attempts}`,
		job: `${spec.account}/${spec.id}`,
		trace: spec.trace && childOf(spec.trace),
		model: spec.model,
		cacheSalt: spec.cacheSalt,
		prompt:
			promptIds && log.ids.length > 0
				? { promptIds, committedIds: log.ids }
				: { messages: spec.messages },
		images: spec.images.map((image, n) => ({
			// Another tenant, or other weights, never meet the same cache entry.
			id: `${image.cacheId}.${lease.digest}`,
			url: urls[n] as string,
		})),
		maxTokens: sampling.max_tokens - log.tokens,
		temperature: sampling.temperature,
		topP: sampling.top_p,
		repetitionPenalty: sampling.repetition_penalty,
		seed: attemptSeed(sampling.seed, log.tokens),
		resume:
			state.run === null
				? null
				: { run: state.run, text: log.text + log.held, tokens: log.tokens },
	};
}

/** A backend's failure in the words of our errors; a code that is none of ours is only ever a reason to retry. */
export function jobError(error: BackendError): JobError {
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
