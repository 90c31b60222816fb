// @ts-check
/** npm's packages, and with the package `node` the Node that wrangler wants. */
import { join } from "node:path";
import { node, root } from "../paths.mjs";
import { run } from "../process.mjs";

/** @type {import("./step.mjs").Step} */
export const nodePackages = {
	name: "npm packages",
	inputs: () => [join(root, "package-lock.json")],
	outputs: [node],
	async run({ log, signal, onLine }) {
		let fetched = 0;
		await run("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=http"], {
			what: "npm ci",
			log,
			signal,
			onLine: (line) => {
				if (line.includes("http fetch GET 200")) {
					onLine(`${++fetched} packages fetched`);
				}
			},
			// Wrangler names newer engines than the Node that npm itself may run on.
			env: { npm_config_engine_strict: "false" },
		});
	},
};
