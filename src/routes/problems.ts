import { z } from "@hono/zod-openapi";
import { Problem } from "../schema/problem.ts";

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
	content: { "application/problem+json": { schema: typeof Problem } };
}

/** The problem responses of a route, for the OpenAPI document; which codes they carry is in each detail. */
export const problems = <Status extends number>(
	...statuses: Status[]
): Record<Status, ProblemResponse> =>
	Object.fromEntries(
		statuses.map((status) => [
			status,
			{
				description:
					status === 429 ? "Too many: see Retry-After" : "Problem details",
				...((status === 429 || status === 503) && { headers }),
				content: { "application/problem+json": { schema: Problem } },
			},
		]),
	) as Record<Status, ProblemResponse>;
