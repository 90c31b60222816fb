import { z } from "@hono/zod-openapi";
import type { FailureCode } from "../errors.ts";
import { problemOf } from "../http/problem.ts";
import { Problem } from "../schema/problem.ts";
import { failuresOf } from "./failures.ts";

const headers = z.object({
	"Retry-After": z.int().optional().openapi({
		description: "With 429 and 503: seconds until it is worth another try",
		example: 2,
	}),
	RateLimit: z.string().optional().openapi({
		description:
			"What is left of each quota that RateLimit-Policy names (IETF draft 11): `r` of them, for `t` seconds. On every answer to a known key, good or bad.",
		example: '"requests";r=587;t=2, "jobs";r=199',
	}),
	"RateLimit-Policy": z.string().optional().openapi({
		description: "The account's quotas: `q` in `w` seconds, or at once",
		example: '"requests";q=600;w=60, "jobs";q=200;qu="concurrent-requests"',
	}),
});

interface ProblemResponse {
	description: string;
	headers?: typeof headers;
	content: {
		"application/problem+json": {
			schema: typeof Problem;
			examples: Record<string, { value: Problem }>;
		};
	};
}

const REQUEST_ID = "req_01JD8Z6Q3V9Y4K2M7N5P8R1S3T";

/**
 * The problem responses of a route, for the OpenAPI document, with an example for each code.
 * @param of statuses, for the codes that they have everywhere, and the codes of this route
 */
export const problems = <const Of extends readonly (number | FailureCode)[]>(
	...of: Of
): Record<Extract<Of[number], number>, ProblemResponse> =>
	Object.fromEntries(
		Array.from(failuresOf(of), ([status, failures]) => [
			status,
			{
				description: `${status === 429 ? "Too many, see Retry-After" : "Problem details"}: ${failures.map(({ code }) => `\`${code}\``).join(", ")}`,
				...((status === 429 || status === 503) && { headers }),
				content: {
					"application/problem+json": {
						schema: Problem,
						examples: Object.fromEntries(
							failures.map((failure) => [
								failure.code,
								{ value: problemOf(failure, REQUEST_ID) },
							]),
						),
					},
				},
			},
		]),
	) as Record<Extract<Of[number], number>, ProblemResponse>;
