/// <reference types="vite/types/importMeta.d.ts" />
/**
 * Sources are short, no file over 450 lines, and their names say one thing each. How wide a line
 * may be is scripts/check-lines.mjs's part.
 */
import { describe, expect, test } from "vitest";

const MAX_LINES = 450;

/** Names that said nothing, or several things; docs/architecture.md has the words instead. */
const RETIRED =
	/\b(Life|Drive|Means|Surroundings|Whose|Heard|Asked|Said|goOn|kick|rung|patiently|nowhere)\b/;

const sources = import.meta.glob<string>(
	[
		"../src/**/*.{ts,js,css}",
		// Scalar's bundle, which the set-up installs.
		"!../src/playground/public/docs/reference.js",
	],
	{ query: "?raw", import: "default", eager: true },
);

const checked = Object.entries(sources).map(([path, text]) => ({
	file: path.replace("../src/", ""),
	lines: text.trimEnd().split("\n"),
}));

describe("the sources of src/", () => {
	test("there are sources to check", () => {
		expect(checked.length).toBeGreaterThan(150);
	});

	test(`no file exceeds ${MAX_LINES} lines`, () => {
		const long = checked.filter(({ lines }) => lines.length > MAX_LINES);
		expect(long.map(({ file }) => file)).toEqual([]);
	});

	test("no retired name comes back", () => {
		const back = checked.flatMap(({ file, lines }) =>
			lines.flatMap((line, n) =>
				RETIRED.test(line.replace(/\/\*\*?|\*|\/\/.*/, ""))
					? `${file}:${n + 1}: ${line.trim()}`
					: [],
			),
		);
		expect(back).toEqual([]);
	});
});
