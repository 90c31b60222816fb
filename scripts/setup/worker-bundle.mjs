// @ts-check
/** The edge's Worker, bundled: `npm start` and the tests run what lies in this folder. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { bundle, root } from "../paths.mjs";
import { bundleEdge } from "../stack.mjs";

/** The page is served from where it lies. */
const sources = readdirSync(join(root, "src"))
	.filter((name) => name !== "playground")
	.map((name) => join("src", name));

/** @type {import("./step.mjs").Step} */
export const workerBundle = {
	name: "Worker bundle",
	inputs: () =>
		[...sources, "wrangler.toml", "package-lock.json", "scripts/edge"].map(
			(path) => join(root, path),
		),
	outputs: ["index.js", "worker.json"].map((file) => join(bundle, file)),
	async run({ log, signal, onLine }) {
		onLine("by wrangler, as it deploys it");
		await bundleEdge(bundle, { log, signal });
	},
};
