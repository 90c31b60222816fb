// @ts-check
/**
 * Writes the Worker into a folder: `bundle.mjs <folder> <checkout> [entry]`. The folder then
 * holds what Miniflare needs to run it: the module that `wrangler deploy` would upload, and in
 * `worker.json` what the checkout's wrangler.toml says of it. Wrangler, always this tree's, bundles
 * and reads, so that its file stays the one source of bindings, classes, dates, flags, aliases and
 * assets. A process of its own, because wrangler wants another Node than the one that npm may run
 * on, and much memory.
 */
import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import {
	unstable_getMiniflareWorkerOptions,
	unstable_readConfig,
} from "wrangler";
import { root } from "../paths.mjs";

const [folder = "", checkout = root, entry, ...flags] = process.argv.slice(2);
const config = join(checkout, "wrangler.toml");
const bundled = promisify(execFile)(
	process.execPath,
	[
		join(root, "node_modules", "wrangler", "bin", "wrangler.js"),
		"deploy",
		...(entry ? [entry] : []),
		"--config",
		config,
		"--dry-run",
		"--outdir",
		folder,
		...flags,
	],
	{ cwd: checkout },
);
const { name, main } = unstable_readConfig({ config });
const { workerOptions } = unstable_getMiniflareWorkerOptions(config);
try {
	await bundled;
} catch (error) {
	const { stdout, stderr } = /** @type {any} */ (error);
	process.stderr.write(`${stdout}\n${stderr}\n`);
	process.exit(1);
}
const source = basename(entry || main || "index.ts");
writeFileSync(
	join(folder, "worker.json"),
	JSON.stringify({
		module: source.replace(/\.\w+$/, ".js"),
		options: { ...workerOptions, name },
	}),
);
