/** A job request on its way to admission: what is refused before anything is stored, and what names it. */
import canonicalize from "canonicalize";
import { sha256 } from "../account/key.ts";
import { ApiError } from "../errors.ts";
import { JOB_ID } from "../ids.ts";
import type { Model } from "../models.ts";
import type { JobRequest } from "../schema/job.ts";
import { TASKS } from "../tasks.ts";
import type { JobSpec, Sampling } from "./contract.ts";

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

/** By what a caller names a job: its id, or the SHA-256 of an idempotency key. */
export interface Name {
	jobId: string | null;
	idempotencyKey: string | null;
}

/** A job id that a caller made. @throws ApiError `invalid_request` */
export function jobIdOf(id: string): string {
	if (JOB_ID.test(id)) return id;
	throw new ApiError({
		code: "invalid_request",
		field: "id",
		detail:
			"`id` must be a ULID in upper case, 26 characters like 01JD8Z6Q3V9Y4K2M7N5P8R1S3T. Any ULID library makes one.",
	});
}

/** The SHA-256 of an `Idempotency-Key`, or null without one. @throws ApiError `invalid_request` */
export async function idempotencyKeyOf(
	key: string | undefined,
): Promise<string | null> {
	if (key === undefined) return null;
	if (/^[\x21-\x7e]{1,255}$/.test(key)) return sha256(key);
	throw new ApiError({
		code: "invalid_request",
		field: "Idempotency-Key",
		detail:
			"`Idempotency-Key` must be 1 to 255 visible ASCII characters, such as a UUID.",
	});
}

type Terms = Pick<JobSpec, "startBy" | "endBy" | "cancelAt">;

const HOUR_S = 3_600;

/**
 * What `Start-Within` and `Cancel-After` ask for, in time from a job's creation. Without them a job has an hour to start
 * and six to end; a longer start or run that is asked for moves the end.
 * @throws ApiError `invalid_request`
 */
export function termsOf(request: {
	header: (name: string) => string | undefined;
}): (createdAt: number) => Terms {
	const secondsOf = (name: string) => duration(name, request.header(name));
	const start = secondsOf("Start-Within") ?? HOUR_S;
	const cancel = secondsOf("Cancel-After");
	const end = Math.max(6 * HOUR_S, start + 5 * HOUR_S, (cancel ?? 0) + 60);
	return (createdAt) => ({
		startBy: createdAt + start * 1000,
		endBy: createdAt + end * 1000,
		cancelAt: cancel === null ? null : createdAt + cancel * 1000,
	});
}

const UNITS: Record<string, number> = { "": 1, s: 1, m: 60, h: HOUR_S };

/** Seconds, from `90`, `90s`, `15m` or `2h`. */
function duration(name: string, text: string | undefined): number | null {
	if (text === undefined) return null;
	const [, digits, unit] = /^(\d{1,6})([smh]?)$/.exec(text) ?? [];
	const seconds = Number(digits) * (UNITS[unit ?? ""] ?? 1);
	if (seconds >= 5 && seconds <= 86_400) return seconds;
	throw new ApiError({
		code: "invalid_request",
		field: name,
		detail: `\`${name}\` must be a time from 5 s to 24 h, such as 90, 90s, 15m or 2h.`,
	});
}
