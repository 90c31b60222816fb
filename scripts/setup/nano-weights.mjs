// @ts-check
/**
 * The checkpoint of `nano`: frozen parts out of registry packages, and this repository's
 * projection.
 */
import { join } from "node:path";
import { gpuWorker, nano, worker } from "../paths.mjs";
import { run } from "../process.mjs";

/** @type {import("./step.mjs").Step} */
export const nanoWeights = {
	name: "nano weights",
	inputs: () =>
		[
			"weights/nano",
			"minigpt4/checkpoints",
			"minigpt4/config.py",
			"minigpt4/efficientnet.py",
			"uv.lock",
		].map((path) => join(gpuWorker, path)),
	outputs: [join(nano, "config.json")],
	run: ({ log, signal, onLine }) =>
		run(worker, ["assemble", "nano", "--out", nano], {
			what: "minigpt4-worker assemble nano",
			log,
			signal,
			onLine,
		}),
};
