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
	run: ({ log, signal, onLine }) =>
		run("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=http"], {
			what: "npm ci",
			log,
			signal,
			onLine: (line) => {
				const fetched =
					/http fetch GET 200 (?:\S*\/)?((?:@[^/]+\/)?[^/ ]+)/.exec(line)?.[1];
				if (fetched) onLine(decodeURIComponent(fetched));
			},
			// Wrangler and node name their engines; npm itself may run on an older Node.
			env: { npm_config_engine_strict: "false" },
		}),
};
