// @ts-check
/**
 * Names each source line over 100 columns. Biome and ruff wrap code, but Biome leaves comments and
 * strings alone. A tab counts as two columns, as in Biome.
 */
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./paths.mjs";

const MAX_COLUMNS = 100;
const TAB = "  ";
/** A hash, Base64 or a URL, which a break would harm. */
const UNBROKEN = /[\w%+./:;,=-]{80}/;

const SOURCES = [
	"{scripts,sdk/src,sdk/scripts,sdk/test,src,test}/**/*.{ts,mjs,js,css,html}",
	"gpu-worker/{minigpt4,tests}/**/*.{py,js,css,html}",
];
const NOT_OURS = [
	"**/node_modules",
	"test/fixtures",
	// Generated.
	"sdk/src/wire.ts",
	// Bundles of others, which the set-up installs.
	"src/playground/public/docs/reference.js",
	"src/playground/public/console/uplot.*",
];

const files = globSync(SOURCES, { cwd: root, exclude: NOT_OURS }).sort();
const wide = files.flatMap((file) =>
	readFileSync(join(root, file), "utf8")
		.split("\n")
		.map((line, n) => {
			const columns = line.replaceAll("\t", TAB).length;
			return columns > MAX_COLUMNS && !UNBROKEN.test(line)
				? `${file}:${n + 1}: ${columns} columns, of at most ${MAX_COLUMNS}`
				: null;
		})
		.filter((problem) => problem !== null),
);
if (wide.length > 0) console.error(wide.join("\n"));
else console.log(`No line of ${files.length} files is too long.`);
process.exitCode = wide.length > 0 ? 1 : 0;
