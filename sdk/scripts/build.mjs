// @ts-check
/** From the wire's types to dist/: JavaScript and declarations, module by module. Once for `import`, once for `require`. Nothing is bundled: who bundles drops what they do not call. */
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
// Who packs meanwhile finds what was there, or what is there now.
const made = `${dist}.${process.pid}`;
try {
	node(tsc, "-p", "tsconfig.build.json", "--outDir", made);
	const cjs = join(made, "cjs");
	node(tsc, "-p", "tsconfig.cjs.json", "--outDir", cjs);
	writeFileSync(join(cjs, "package.json"), '{"type":"commonjs"}\n');
	const command = join(made, "command", "main.js");
	if (existsSync(command)) chmodSync(command, 0o755);
	rmSync(dist, { recursive: true, force: true });
	renameSync(made, dist);
} finally {
	rmSync(made, { recursive: true, force: true });
}
copyFileSync(join(sdk, "..", "LICENSE"), join(sdk, "LICENSE"));
