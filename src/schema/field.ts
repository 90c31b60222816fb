import type { z } from "@hono/zod-openapi";

type Issue = z.core.$ZodIssue;

/** A path as a caller writes it: `images[0].url`. */
export function fieldPath(path: readonly PropertyKey[]): string {
	let text = "";
	for (const part of path)
		text +=
			typeof part === "number"
				? `[${part}]`
				: text
					? `.${String(part)}`
					: String(part);
	return text;
}

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
	if (issue.code === "invalid_union" && issue.errors.length > 0) {
		// The branch that came furthest is the one the caller meant.
		const depth = (branch: readonly Issue[]) =>
			Math.max(...branch.map((i) => i.path.length));
		const meant = [...issue.errors].sort(
			(a, b) => depth(b) - depth(a) || a.length - b.length,
		)[0];
		if (meant?.[0]) return describe(meant[0], path);
	}
	const field = fieldPath(path) || "body";
	return {
		field,
		detail: `\`${field}\`: ${issue.message}.`.replace("..", "."),
	};
}
