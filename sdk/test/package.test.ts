/**
 * The package as others install it: several compilers read its types, programs require and import
 * it, and package checkers find no fault.
 */
import { execFile } from "node:child_process";
import { copyFile, readdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Installed, installSDK } from "../../test/e2e/packed-sdk.ts";
import { packages, program } from "./packages.ts";

const consumer = join(import.meta.dirname, "consumer");

let installed: Installed;
beforeAll(async () => {
	installed = await installSDK();
	for (const file of await readdir(consumer))
		await copyFile(join(consumer, file), join(installed.folder, file));
	await symlink(
		join(packages, "node_modules", "@types"),
		join(installed.folder, "node_modules", "@types"),
	);
}, 120_000);
afterAll(() => installed?.remove());

/** Runs a program in Node, and returns what it prints, however it ends. */
const printed = async (path: string, ...args: string[]): Promise<string> => {
	const running = promisify(execFile)(process.execPath, [path, ...args], {
		cwd: installed.folder,
	});
	const { stdout, stderr } = await running.catch((failed) => failed);
	return `${stdout}${stderr}`.trim();
};

const strict = {
	target: "es2022",
	strict: true,
	exactOptionalPropertyTypes: true,
	noUncheckedIndexedAccess: true,
	skipLibCheck: false,
	noEmit: true,
};
const node16 = { module: "node16", moduleResolution: "node16" };
const PROJECTS: [string, object, string[]][] = [
	[
		"without types of any platform, imported and required",
		{ ...node16, lib: ["es2018"], types: [] },
		["bare.mts", "required.cts"],
	],
	[
		"with DOM's, imported and required",
		{ ...node16, lib: ["es2022", "dom", "dom.iterable"], types: [] },
		["bare.mts", "required.cts", "dom.mts"],
	],
	[
		"with Node's",
		{ ...node16, lib: ["es2022"], types: ["node"] },
		["bare.mts", "required.cts", "node.mts"],
	],
	[
		"for a bundler",
		{
			module: "esnext",
			moduleResolution: "bundler",
			lib: ["es2022", "dom", "dom.iterable"],
			types: [],
		},
		["bare.mts", "dom.mts"],
	],
];

describe.each(["5.0", "5.9", "6.0", "7.0"])(
	"TypeScript %s reads the declarations, library check and all",
	(version) => {
		it.each(PROJECTS)("%s", async (name, options, files) => {
			const config = `${version} ${name}.json`;
			await writeFile(
				join(installed.folder, config),
				JSON.stringify({ compilerOptions: { ...strict, ...options }, files }),
			);
			const tsc = program(`typescript-${version}/bin/tsc`);
			const said = await printed(tsc, "-p", config, "--pretty", "false");
			// Node's types need a newer compiler than the oldest one here.
			const ours = said
				.split("\n")
				.filter((line) => line && !/^\.*\/?.*@types\//.test(line));
			expect(ours).toEqual([]);
		});
	},
);

it("has the same exports for `require` and for `import`", async () => {
	const names = "console.log(Object.keys(m).sort().join());";
	await writeFile(
		join(installed.folder, "required.cjs"),
		`const m = require("minigpt4"); ${names}`,
	);
	await writeFile(
		join(installed.folder, "imported.mjs"),
		`import * as m from "minigpt4"; ${names}`,
	);
	const required = await printed(
		...(["--no-experimental-require-module", "required.cjs"] as const),
	);
	expect(required).toContain("MiniGPT4");
	expect(required).toBe(await printed("imported.mjs"));
});

it("passes publint", async () => {
	expect(
		await printed(program("publint/src/cli.js"), installed.path, "--strict"),
	).toMatch(/All good!$/);
});

it("has types for every way of resolving modules", async () => {
	const [tarball = ""] = (await readdir(installed.folder)).filter((file) =>
		file.endsWith(".tgz"),
	);
	const said = await printed(
		program("@arethetypeswrong/cli/dist/index.js"),
		tarball,
		"--format",
		"json",
	);
	const { analysis } = JSON.parse(said);
	expect(analysis.problems).toEqual([]);
	expect(Object.keys(analysis.entrypoints["."].resolutions).sort()).toEqual([
		"bundler",
		"node10",
		"node16-cjs",
		"node16-esm",
	]);
});
