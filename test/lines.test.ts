/// <reference types="vite/types/importMeta.d.ts" />
/**
 * Sources are short, no file over 450 lines, and their names say one thing each. How wide a line
 * may be is scripts/check-lines.mjs's part.
 */
import { describe, expect, test } from "vitest";

const MAX_LINES = 450;

/**
 * Names that said nothing, or several things; docs/architecture.md has the words instead. The
 * member `known`, the models in `model_not_found`, is part of the wire.
 */
const RETIRED = new RegExp(
	`\\b(${[
		"asked",
		"drive",
		"goOn",
		"heard",
		"kick",
		"known(?!:| \\}|\\.join)",
		"life",
		"means",
		"nowhere",
		"patiently",
		"rung",
		"said",
		"surroundings",
		"told",
		"whose",
	].join("|")})\\b`,
	"i",
);

/** Comments and strings: those may have any English word. */
const NOT_CODE =
	/\/\*[\s\S]*?\*\/|\/\/.*|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`/g;

/** The text without what is not code, on the same lines. */
const codeOf = (text: string): string =>
	text.replace(NOT_CODE, (part) => part.replace(/[^\n]/g, ""));

const sources = import.meta.glob<string>(
	[
		"../src/**/*.{ts,js,css}",
		// Bundles of others, which the set-up installs.
		"!../src/playground/public/docs/reference.js",
		"!../src/playground/public/console/uplot.js",
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

	test("a name is retired in code alone, however it is written", () => {
		const code = codeOf('/* known\n*/ "told", `asked` // whose\nconst Told');
		expect(code).toBe("\n ,  \nconst Told");
		expect(RETIRED.test(code)).toBe(true);
		expect(RETIRED.test("unknown")).toBe(false);
	});

	test("no retired name comes back", () => {
		const scripts = checked.filter(({ file }) => /\.[jt]s$/.test(file));
		const back = scripts.flatMap(({ file, lines }) =>
			codeOf(lines.join("\n"))
				.split("\n")
				.flatMap((line, n) =>
					RETIRED.test(line) ? `${file}:${n + 1}: ${line.trim()}` : [],
				),
		);
		expect(back).toEqual([]);
	});
});
