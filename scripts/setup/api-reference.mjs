// @ts-check
/**
 * The script behind /docs: one file out of Scalar's npm package. The package is not a dependency,
 * because the file holds its two hundred packages already. It lies among the page's files, from
 * where wrangler serves and deploys it.
 */
import { createHash } from "node:crypto";
import {
	copyFileSync,
	mkdirSync,
	mkdtempSync,
	readFileSync,
	renameSync,
	rmSync,
} from "node:fs";
import { join } from "node:path";
import { apiReference, state } from "../paths.mjs";
import { run } from "../process.mjs";

const PACKAGE = "@scalar/api-reference@1.72.1";
const FILE = "package/dist/browser/standalone.js";
const SHA256 =
	"bf091006bdc3af6067af77c2f534812e3e633e94a94e87138069f570f33b762c";

/** @param {string} path */
const sha256 = (path) =>
	createHash("sha256").update(readFileSync(path)).digest("hex");

/** @type {import("./step.mjs").Step} */
export const apiReferenceScript = {
	name: "API reference",
	inputs: () => [PACKAGE, SHA256],
	outputs: [apiReference],
	async run({ log, signal, onLine }) {
		onLine(PACKAGE);
		mkdirSync(state, { recursive: true });
		const folder = mkdtempSync(join(state, "api-reference-"));
		try {
			/** @param {string} command @param {string[]} args */
			const inFolder = (command, ...args) =>
				run(command, args, {
					what: `${command} ${args.join(" ")}`,
					cwd: folder,
					log,
					signal,
					onLine,
				});
			await inFolder("npm", "pack", PACKAGE, "--silent");
			await inFolder("sh", "-c", `tar -xzf *.tgz ${FILE}`);
			const script = join(folder, FILE);
			const found = sha256(script);
			if (found !== SHA256)
				throw new Error(
					`${FILE} of ${PACKAGE} is not the one that was looked at: its SHA-256 is ${found}.`,
				);
			// Whole or not at all, also where two set-ups meet.
			const beside = `${apiReference}.${process.pid}`;
			copyFileSync(script, beside);
			renameSync(beside, apiReference);
		} finally {
			rmSync(folder, { recursive: true, force: true });
		}
	},
};
