// @ts-check
/**
 * Builds dist/ from src/: JavaScript and declarations, module by module, once for `import` and once
 * for `require`. It bundles nothing, so that a consumer's bundler drops what is not called.
 */
import { execFileSync } from "node:child_process";
import {
	chmodSync,
	copyFileSync,
	existsSync,
	renameSync,
	rmSync,
	writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const sdk = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(sdk, "dist");

/** @param {...string} args */
const node = (...args) =>
	execFileSync(process.execPath, args, {
		cwd: sdk,
		stdio: ["ignore", "ignore", "inherit"],
	});
const tsc = fileURLToPath(import.meta.resolve("typescript/lib/tsc.js"));

node("scripts/wire.mjs");
// Builds aside and renames, so that `npm pack` at the same time finds a whole dist/.
const built = `${dist}.${process.pid}`;
try {
	node(tsc, "-p", "tsconfig.build.json", "--outDir", built);
	const cjs = join(built, "cjs");
	node(tsc, "-p", "tsconfig.cjs.json", "--outDir", cjs);
	writeFileSync(join(cjs, "package.json"), '{"type":"commonjs"}\n');
	const command = join(built, "command", "main.js");
	if (existsSync(command)) chmodSync(command, 0o755);
	rmSync(dist, { recursive: true, force: true });
	renameSync(built, dist);
} finally {
	rmSync(built, { recursive: true, force: true });
}
copyFileSync(join(sdk, "..", "LICENSE"), join(sdk, "LICENSE"));
