/** The failures that a route may answer, each with an example, for the OpenAPI document. */
import { type Failure, type FailureCode, wire } from "../errors.ts";

type Details = {
	[C in FailureCode as Exclude<
		keyof Extract<Failure, { code: C }>,
		"code"
	> extends never
		? never
		: C]: Omit<Extract<Failure, { code: C }>, "code">;
};

/** What the examples say beside their code. */
const DETAILS: Details = {
	bound_key: {},
	origin_not_allowed: { origin: "https://elsewhere.example" },
	too_many_keys: { limit: 100 },
	job_not_found: {},
	upload_not_found: { field: "images[0].upload" },
	unsupported_media_type: { expected: "application/json" },
	unsupported_encoding: { encoding: "gzip" },
	body_too_large: { limit: 25_165_824 },
	invalid_request: {
		field: "max_tokens",
		detail: "`max_tokens`: Too big: expected number to be <=2048.",
	},
	model_not_found: { model: "vicuna-7b", known: ["nano"] },
	context_length_exceeded: { tokens: 2_311, context_length: 2_048 },
	insufficient_credit: { available: 400, price: 1_000 },
	previous_job_unfinished: { field: "previous_job" },
	previous_job_failed: { field: "previous_job" },
	image_gone: { field: "previous_job" },
	rate_limited: { limit: 600, retry_after: 2 },
	too_many_jobs: { limit: 200, retry_after: 2 },
	job_gone: {},
	image_type_unsupported: { field: "images[0].url" },
	image_truncated: { field: "images[0].url" },
	image_dimensions: {
		field: "images[0].url",
		width: 1,
		height: 1,
		detail: "a side has 8 to 16384 pixels.",
	},
	image_too_large: { field: "images[0].url", limit: 4_194_304 },
	image_undecodable: { field: "images[0].url" },
	image_in_use: { field: "images[0].upload" },
	upload_incomplete: { field: "id" },
	upload_not_finalized: { field: "images[0].upload" },
	upload_mismatch: {
		detail:
			"The stored object has another sha256 than was declared. Start a new upload.",
	},
	url_refused: {
		field: "images[0].url",
		detail: "`images[0].url` must use port 443.",
	},
	url_unreachable: {
		field: "images[0].url",
		detail:
			"`images[0].url`: the server answered 404. Check the URL, or upload the image.",
	},
	too_many_webhooks: { limit: 100 },
	event_not_found: { field: "event" },
	events_gone: { field: "after", oldest: 1_204 },
};

/** What a status means on any route that has it. A key is bound to origins or not, wherever one is asked for. */
const USUAL: Partial<Record<number, readonly FailureCode[]>> = {
	400: ["invalid_request"],
	401: [
		"missing_key",
		"invalid_key",
		"revoked_key",
		"origin_required",
		"origin_not_allowed",
	],
	413: ["body_too_large"],
	415: ["unsupported_media_type", "unsupported_encoding"],
	429: ["rate_limited"],
	503: ["storage_unavailable"],
};

/** All that can be wrong with a JSON body before its members are looked at. */
export const JSON_BODY = [
	400,
	413,
	415,
	"body_required",
	"body_incomplete",
	"invalid_json",
] as const satisfies (number | FailureCode)[];

/** What any call with a small JSON body can meet. */
export const JSON_CALL = [...JSON_BODY, 401, 429] as const satisfies (
	| number
	| FailureCode
)[];

/** All that can be wrong with an image that a caller sends. */
export const IMAGE_FAILURES = [
	"image_type_unsupported",
	"image_truncated",
	"image_dimensions",
	"image_too_large",
	"image_undecodable",
] as const satisfies FailureCode[];

/** All that can be wrong with a request for a job. */
export const JOB_REQUEST_FAILURES = [
	"body_required",
	"body_incomplete",
	"invalid_json",
	"context_length_exceeded",
	"insufficient_credit",
	"model_not_found",
	"upload_not_found",
	"upload_not_finalized",
	"image_in_use",
	...IMAGE_FAILURES,
	"url_refused",
	"url_unreachable",
	"too_many_jobs",
	"too_many_readers",
] as const satisfies FailureCode[];

/** What goes on from an earlier job can meet. */
export const PREVIOUS_JOB_FAILURES = [
	"job_not_found",
	"previous_job_unfinished",
	"previous_job_failed",
	"job_gone",
	"image_gone",
] as const satisfies FailureCode[];

/**
 * The failures of a route by status, in that order, each once.
 * @param of statuses, for what they mean everywhere, and codes
 */
export function failuresOf(
	of: readonly (number | FailureCode)[],
): Map<number, Failure[]> {
	const codes = new Set(
		of.flatMap((each) =>
			typeof each === "number" ? (USUAL[each] ?? []) : [each],
		),
	);
	const failures = Array.from(
		codes,
		(code) => ({ code, ...DETAILS[code as keyof Details] }) as Failure,
	);
	const told = new Map<number, Failure[]>(
		of.filter((each) => typeof each === "number").map((status) => [status, []]),
	);
	for (const failure of failures) {
		const { status } = wire(failure);
		told.set(status, [...(told.get(status) ?? []), failure]);
	}
	return new Map([...told].sort(([a], [b]) => a - b));
}
