// @ts-check
/** From the wire's types to dist/: JavaScript and declarations, module by module. Nothing is bundled: who bundles drops what they do not call. */
import { execFileSync } from "node:child_process";
import { chmodSync, copyFileSync, existsSync, rmSync } from "node:fs";
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
rmSync(dist, { recursive: true, force: true });
node(tsc, "-p", "tsconfig.build.json");
copyFileSync(join(sdk, "..", "LICENSE"), join(sdk, "LICENSE"));
const command = join(dist, "command", "main.js");
if (existsSync(command)) chmodSync(command, 0o755);
