/**
 * Turns zod's error into the first invalid field of a request, and a sentence that says what to
 * send instead.
 */
import type { z } from "@hono/zod-openapi";

type Issue = z.core.$ZodIssue;

/** A path in the notation of error messages: `images[0].url`. */
export function fieldPath(path: readonly PropertyKey[]): string {
	let text = "";
	for (const part of path)
		text +=
			typeof part === "number"
				? `[${part}]`
				: `${text && "."}${truncated(part)}`;
	return text;
}

const MAX_NAME_LENGTH = 80;

/** The caller chooses the names of unknown members, so they may be of any length. */
function truncated(name: string | symbol): string {
	const text = String(name);
	return text.length > MAX_NAME_LENGTH
		? `${text.slice(0, MAX_NAME_LENGTH)}…`
		: text;
}

export function fieldOf(error: z.core.$ZodError): {
	field: string;
	detail: string;
} {
	return describe(error.issues[0] as Issue, []);
}

function describe(
	issue: Issue,
	parents: readonly PropertyKey[],
): { field: string; detail: string } {
	const path = [...parents, ...issue.path];
	if (issue.code === "unrecognized_keys") {
		const field = fieldPath([...path, issue.keys[0] as string]);
		return {
			field,
			detail: `There is no parameter \`${field}\`. Remove it, or check its spelling.`,
		};
	}
	const field = fieldPath(path) || "body";
	const detail = (message: string) =>
		`\`${field}\`: ${reworded(message)}.`.replace("..", ".");
	if (issue.code === "invalid_key" && issue.issues[0])
		return describe(issue.issues[0], path);
	// A union's own message is better than those of its branches.
	if (issue.code !== "invalid_union" || issue.message !== UNION_MESSAGE)
		return { field, detail: detail(issue.message) };
	const [intended] = issue.errors
		.filter((branch) => !isForOtherType(branch))
		.sort(byProximity);
	if (intended?.[0]) return describe(intended[0], path);
	const types = new Set(expectedTypes(issue));
	const received = /received (\S+)$/.exec(firstMessage(issue))?.[1];
	return {
		field,
		detail: detail(
			`Invalid input: expected ${[...types].join(" or ")}, received ${received}`,
		),
	};
}

/** Replaces zod's words for `undefined` and NaN, which no caller can send. */
const reworded = (message: string): string =>
	message
		.replace(
			/^Invalid input: (expected .+), received undefined$/,
			"is missing or empty: $1",
		)
		.replace(
			/^Invalid input: expected (number|int), received NaN$/,
			"is not one number: send it once, in digits",
		);

const expectedTypes = (issue: Issue): string[] =>
	issue.code === "invalid_union"
		? issue.errors.flat().flatMap(expectedTypes)
		: issue.code === "invalid_type"
			? [issue.expected]
			: [];

const firstMessage = (issue: Issue): string =>
	issue.code === "invalid_union" && issue.errors[0]?.[0]
		? firstMessage(issue.errors[0][0])
		: issue.message;

/** zod's message for a union that has none of its own. */
const UNION_MESSAGE = "Invalid input";

/** Whether a branch of a union is for values of another type than the caller sent. */
const isForOtherType = (branch: readonly Issue[]): boolean =>
	branch.some(
		(issue) =>
			issue.path.length === 0 &&
			(issue.code === "invalid_type" ||
				(issue.code === "invalid_union" &&
					issue.errors.length > 0 &&
					issue.errors.every(isForOtherType))),
	);

/**
 * Sorts the branches of a union by how close the value comes to them: the deepest issue first, then
 * the fewest issues. The first branch is the one that the caller intended.
 */
function byProximity(a: readonly Issue[], b: readonly Issue[]): number {
	const depth = (branch: readonly Issue[]) =>
		Math.max(...branch.map(({ path }) => path.length));
	return depth(b) - depth(a) || a.length - b.length;
}
