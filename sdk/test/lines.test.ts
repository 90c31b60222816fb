import { glob, readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";

const sdk = join(import.meta.dirname, "..");
const GENERATED = "src/wire.ts";

test("no line is longer than 100 columns, and no spread packs two members into one", async () => {
	const found: string[] = [];
	for await (const path of glob("{src,scripts,test}/**/*.{ts,mts,cts,mjs}", {
		cwd: sdk,
		exclude: (path) => path.includes("node_modules") || path === GENERATED,
	})) {
		if (path === GENERATED) continue;
		const lines = (await readFile(join(sdk, path), "utf8")).split("\n");
		for (const [n, line] of lines.entries()) {
			// A tab is two columns, as Biome counts.
			const columns = [...line.replaceAll("\t", "  ")].length;
			if (columns > 100) found.push(`${path}:${n + 1} has ${columns} columns`);
			if (/^\s*\.\.\.\{/.test(line)) found.push(`${path}:${n + 1} ${line}`);
		}
	}
	expect(found).toEqual([]);
});
