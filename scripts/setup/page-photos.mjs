// @ts-check
/**
 * The page's photos: those of samples/, which lie among the page's files too, from where they are
 * served and deployed.
 */
import { copyFileSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { root, samples } from "../paths.mjs";

const folder = join(root, "src", "playground", "public", "samples");
const photos = readdirSync(samples).filter((name) => name.endsWith(".jpg"));

/** @type {import("./step.mjs").Step} */
export const pagePhotos = {
	name: "page photos",
	inputs: () => [samples],
	outputs: photos.map((name) => join(folder, name)),
	async run() {
		mkdirSync(folder, { recursive: true });
		for (const name of photos)
			copyFileSync(join(samples, name), join(folder, name));
	},
};
