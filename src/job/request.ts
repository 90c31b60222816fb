/** A job request on its way to admission: what is refused before anything is stored, and what names it. */
import canonicalize from "canonicalize";
import { sha256 } from "../account/key.ts";
import { ApiError } from "../errors.ts";
import type { Model } from "../models.ts";
import type { JobRequest } from "../schema/job.ts";
import { TASKS } from "../tasks.ts";
import type { Sampling } from "./contract.ts";

/** What the user asks, from `prompt` or `task`. */
export const promptOf = (request: JobRequest): string =>
	request.task ? TASKS[request.task] : (request.prompt ?? "");

/**
 * Refuses what cannot fit, whatever the tokenizer does; what only tokenizing shows fails later, at price 0.
 * @throws ApiError `invalid_request`, `context_length_exceeded`
 */
export function checkFits(request: JobRequest, model: Model): void {
	if (request.images.length > model.maxImages)
		throw new ApiError({
			code: "invalid_request",
			field: "images",
			detail: `\`images\`: ${model.id} takes at most ${model.maxImages}.`,
		});
	const tokens =
		model.leastTokens(promptOf(request)) +
		request.images.length * model.imageTokens;
	// One token of the context is left for the answer.
	if (tokens + 1 > model.contextLength)
		throw new ApiError({
			code: "context_length_exceeded",
			field: "prompt",
			tokens,
			context_length: model.contextLength,
		});
}

export const samplingOf = (request: JobRequest): Sampling => ({
	max_tokens: request.max_tokens,
	temperature: request.temperature,
	top_p: request.top_p,
	repetition_penalty: request.repetition_penalty,
	seed:
		request.seed ?? (crypto.getRandomValues(new Uint32Array(1))[0] as number),
	stop: request.stop,
});

/**
 * SHA-256 over canonical JSON (RFC 8785) of what the caller sent, before defaults, images replaced by their sha256: the
 * same photo is the same request, by whatever way it came.
 * @throws ApiError `invalid_request` for text that is no Unicode
 */
export async function bodyHash(
	sent: object,
	imageSha256s: string[],
): Promise<string> {
	let canonical: string | undefined;
	try {
		canonical = canonicalize({ ...sent, images: imageSha256s });
	} catch {
		throw new ApiError({
			code: "invalid_request",
			field: "body",
			detail:
				"A text in the body holds half of a surrogate pair. Send Unicode.",
		});
	}
	return sha256(canonical ?? "");
}

/** Seconds that a `Prefer: wait=n` header asks for (RFC 7240), at most 60; null without it. */
export function preferredWait(prefer: string | undefined): number | null {
	const seconds = /(?:^|[,;\s])wait\s*=\s*"?(\d{1,9})"?\s*(?:$|[,;])/i.exec(
		prefer ?? "",
	)?.[1];
	return seconds === undefined ? null : Math.min(60, Number(seconds));
}
