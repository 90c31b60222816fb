import { Problem } from "../schema/problem.ts";

interface ProblemResponse {
	description: string;
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
				description: "Problem details",
				content: { "application/problem+json": { schema: Problem } },
			},
		]),
	) as Record<Status, ProblemResponse>;
