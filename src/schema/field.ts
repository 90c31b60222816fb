import type { z } from "@hono/zod-openapi";

type Issue = z.core.$ZodIssue;

/** A path as a caller writes it: `images[0].url`. */
export function fieldPath(path: readonly PropertyKey[]): string {
	let text = "";
	for (const part of path)
		text +=
			typeof part === "number" ? `[${part}]` : `${text && "."}${short(part)}`;
	return text;
}

/** Names that no schema knows may be of any length. */
function short(name: string | symbol): string {
	const text = String(name);
	return text.length > LONGEST_NAME ? `${text.slice(0, LONGEST_NAME)}…` : text;
}
const LONGEST_NAME = 80;

/** The first thing wrong with a request: its field, and words that say what to send instead. */
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
	const detail = (words: string) =>
		`\`${field}\`: ${plain(words)}.`.replace("..", ".");
	if (issue.code === "invalid_key" && issue.issues[0])
		return describe(issue.issues[0], path);
	// What a schema says for itself is better than what its branches say.
	if (issue.code !== "invalid_union" || issue.message !== UNSAID)
		return { field, detail: detail(issue.message) };
	const [meant] = issue.errors
		.filter((branch) => !isOther(branch))
		.sort(nearer);
	if (meant?.[0]) return describe(meant[0], path);
	const types = new Set(typesIn(issue));
	const received = /received (\S+)$/.exec(firstWords(issue))?.[1];
	return {
		field,
		detail: detail(
			`Invalid input: expected ${[...types].join(" or ")}, received ${received}`,
		),
	};
}

/** A caller sent no `undefined`, and no query has a NaN. */
const plain = (words: string): string =>
	words
		.replace(
			/^Invalid input: (expected .+), received undefined$/,
			"is missing or empty: $1",
		)
		.replace(
			/^Invalid input: expected (number|int), received NaN$/,
			"is not one number: send it once, in digits",
		);

/** The types that an issue would rather have had. */
const typesIn = (issue: Issue): string[] =>
	issue.code === "invalid_union"
		? issue.errors.flat().flatMap(typesIn)
		: issue.code === "invalid_type"
			? [issue.expected]
			: [];

const firstWords = (issue: Issue): string =>
	issue.code === "invalid_union" && issue.errors[0]?.[0]
		? firstWords(issue.errors[0][0])
		: issue.message;

/** zod's own words for any union. */
const UNSAID = "Invalid input";

/** Whether a branch is for values of another type. */
const isOther = (branch: readonly Issue[]): boolean =>
	branch.some(
		(issue) =>
			issue.path.length === 0 &&
			(issue.code === "invalid_type" ||
				(issue.code === "invalid_union" &&
					issue.errors.length > 0 &&
					issue.errors.every(isOther))),
	);

/** The branch that came furthest, with the least to say against it, is the one that was meant. */
function nearer(a: readonly Issue[], b: readonly Issue[]): number {
	const depth = (branch: readonly Issue[]) =>
		Math.max(...branch.map(({ path }) => path.length));
	return depth(b) - depth(a) || a.length - b.length;
}
