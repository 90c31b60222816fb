/** The failures that a route may answer, each with an example, for the OpenAPI document. */
import { z } from "@hono/zod-openapi";
import type { Failure, FailureCode } from "../errors.ts";
import { type AboutFailure, FAILURES } from "../failures.ts";
import { problemOf } from "../http/problem.ts";
import { errorOfFailure } from "../openai/error.ts";
import { OpenAIError, Problem } from "../schema/problem.ts";

/**
 * The codes of a status on every route that has it; with 401 all that a key is refused for, in the
 * order of src/account/key-rules.ts.
 */
const USUAL: Partial<Record<number, readonly FailureCode[]>> = {
	400: ["invalid_request"],
	401: [
		"missing_key",
		"invalid_key",
		"revoked_key",
		"key_expired",
		"origin_not_allowed",
		"ip_not_allowed",
		"key_suspended",
		"account_suspended",
		"origin_required",
		"scope_missing",
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
	"account_frozen",
	"insufficient_credit",
	"payment_owed",
	"spend_limit_reached",
	"max_price_too_low",
	"quote_invalid",
	"quote_mismatch",
	"quote_expired",
	"quote_used",
	"model_not_found",
	"upload_not_found",
	"upload_not_finalized",
	"image_in_use",
	...IMAGE_FAILURES,
	"url_refused",
	"url_unreachable",
	"too_many_jobs",
	"too_many_tokens",
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

const headers = z.object({
	"Retry-After": z.int().optional().openapi({
		description: "With 429 and 503: seconds until it is worth another try",
		example: 2,
	}),
	RateLimit: z
		.string()
		.optional()
		.openapi({
			description:
				"What is left of each quota that RateLimit-Policy names (IETF draft 11): `r` of it, " +
				"for `t` seconds. On every response to a valid key.",
			example: '"requests";r=587;t=2, "tokens";r=499100;t=1, "jobs";r=199',
		}),
	"RateLimit-Policy": z
		.string()
		.optional()
		.openapi({
			description: "The account's quotas: `q` in `w` seconds, or at once",
			example:
				'"requests";q=600;w=60, "tokens";q=500000;w=60;qu="tokens", ' +
				'"jobs";q=200;qu="concurrent-requests"',
		}),
});

const REQUEST_ID = "req_01JD8Z6Q3V9Y4K2M7N5P8R1S3T";

interface ErrorResponse<Type extends string, Schema extends z.ZodType> {
	description: string;
	headers?: typeof headers;
	content: {
		[T in Type]: {
			schema: Schema;
			examples: Record<string, { value: z.infer<Schema> }>;
		};
	};
}

/** Statuses, for the codes that they have on every route, and the further codes of one route. */
type Of = readonly (number | FailureCode)[];

/** The problem responses of a route, with an example for each code. */
export const problems = <const O extends Of>(...of: O) =>
	responses(of, {
		type: "application/problem+json",
		schema: Problem,
		about: "Problem details",
		headers,
		example: (failure) => problemOf(failure, REQUEST_ID),
	});

/** The error responses of a route that speaks OpenAI's shapes, with an example for each code. */
export const openaiErrors = <const O extends Of>(...of: O) =>
	responses(of, {
		type: "application/json",
		schema: OpenAIError,
		about: "An error in OpenAI's shape",
		example: (failure) => ({ error: errorOfFailure(failure) }),
	});

interface Shape<Type extends string, Schema extends z.ZodType> {
	type: Type;
	schema: Schema;
	about: string;
	headers?: typeof headers;
	example: (failure: Failure) => z.infer<Schema>;
}

function responses<O extends Of, Type extends string, Schema extends z.ZodType>(
	of: O,
	{ type, schema, about, headers, example }: Shape<Type, Schema>,
): Record<Extract<O[number], number>, ErrorResponse<Type, Schema>> {
	const entries = Array.from(codesOf(of), ([status, codes]) => {
		const examples = codes.map((code) => [
			code,
			{ value: example(exampleOf(code)) },
		]);
		const title = status === 429 ? "Too many, see Retry-After" : about;
		const response = {
			description: `${title}: ${codes.map((code) => `\`${code}\``).join(", ")}`,
			...((status === 429 || status === 503) && headers && { headers }),
			content: { [type]: { schema, examples: Object.fromEntries(examples) } },
		};
		return [status, response];
	});
	return Object.fromEntries(entries);
}

function exampleOf(code: FailureCode): Failure {
	const { example } = FAILURES[code] as AboutFailure<object>;
	return { code, ...example } as Failure;
}

/** The codes that a route may answer by their status, in that order, each once. */
function codesOf(of: Of): Map<number, FailureCode[]> {
	const codes = new Set(
		of.flatMap((each) =>
			typeof each === "number" ? (USUAL[each] ?? []) : [each],
		),
	);
	const byStatus = new Map<number, FailureCode[]>(
		of.filter((each) => typeof each === "number").map((status) => [status, []]),
	);
	for (const code of codes) {
		const { status } = FAILURES[code];
		byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
	}
	return new Map([...byStatus].sort(([a], [b]) => a - b));
}
