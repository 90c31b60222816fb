/// <reference types="vite/types/importMeta.d.ts" />
/**
 * Sources fit on a screen: no line exceeds 100 columns, and no file 450 lines. Biome wraps code at
 * 80 columns but leaves comments and strings alone. A tab counts as two columns, as in Biome.
 */
import { describe, expect, test } from "vitest";

const MAX_COLUMNS = 100;
const MAX_LINES = 450;
const TAB = "  ";

/** Path prefixes of the folders and files that the limits apply to. */
const CHECKED = [
	"api-key.ts",
	"backends/",
	"contract/",
	"crypto.ts",
	"egress/",
	"env.ts",
	"http/accept.ts",
	"http/allowed-methods.ts",
	"http/drain.ts",
	"http/rate-limit-headers.ts",
	"http/request-log.ts",
	"http/router.ts",
	"ids.ts",
	"images/",
	"index.ts",
	"job/",
	"least-tokens.ts",
	"log.ts",
	"models.ts",
	"objects.ts",
	"openai/",
	"playground/",
	"read-at-most.ts",
	"schema/",
	"stream/",
	"submit/",
	"tasks.ts",
	"time.ts",
	"trace.ts",
	"webhook-secret.ts",
];

/** Files in those folders that are not within the limits yet. */
const NOT_YET = ["images/s3.ts"];

/** The playground's form is one page script of many small parts, so its length is not checked. */
const LONG = ["playground/public/app.js"];

const sources = import.meta.glob<string>(
	[
		"../src/**/*.{ts,js}",
		// Scalar's bundle, which the set-up installs.
		"!../src/playground/public/docs/reference.js",
	],
	{ query: "?raw", import: "default", eager: true },
);

const checked = Object.entries(sources)
	.map(([path, text]) => ({
		file: path.replace("../src/", ""),
		lines: text.trimEnd().split("\n"),
	}))
	.filter(
		({ file }) =>
			CHECKED.some((prefix) => file.startsWith(prefix)) &&
			!NOT_YET.includes(file),
	);

const columns = (line: string): number => line.replaceAll("\t", TAB).length;

describe("the sources of src/", () => {
	test("every entry of the list names a file that exists", () => {
		const files = Object.keys(sources).map((path) =>
			path.replace("../src/", ""),
		);
		const named = [...CHECKED, ...NOT_YET, ...LONG];
		expect(
			named.filter((entry) => !files.some((file) => file.startsWith(entry))),
		).toEqual([]);
	});

	test(`no line exceeds ${MAX_COLUMNS} columns`, () => {
		const wide = checked.flatMap(({ file, lines }) =>
			lines.flatMap((line, n) =>
				columns(line) > MAX_COLUMNS ? `${file}:${n + 1}: ${line.trim()}` : [],
			),
		);
		expect(wide).toEqual([]);
	});

	test(`no file exceeds ${MAX_LINES} lines`, () => {
		const long = checked.filter(
			({ file, lines }) => lines.length > MAX_LINES && !LONG.includes(file),
		);
		expect(long.map(({ file }) => file)).toEqual([]);
	});

	test("a tab counts as two columns", () => {
		expect(columns("\t\tx")).toBe(5);
	});
});
