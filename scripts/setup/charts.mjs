// @ts-check
/** The console's charts: uPlot out of its npm package, among the page's files. */
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../paths.mjs";

const from = join(root, "node_modules", "uplot", "dist");
const to = join(root, "src", "playground", "public", "console");

/** @type {import("./step.mjs").Step} */
export const charts = {
	name: "charts",
	inputs: () => [join(root, "node_modules", "uplot", "package.json")],
	outputs: [join(to, "uplot.js"), join(to, "uplot.css")],
	async run() {
		copyFileSync(join(from, "uPlot.iife.min.js"), join(to, "uplot.js"));
		copyFileSync(join(from, "uPlot.min.css"), join(to, "uplot.css"));
	},
};
