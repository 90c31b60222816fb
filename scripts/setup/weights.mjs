// @ts-check
/**
 * The checkpoint of an embedded model: frozen parts out of registry packages, and the projection
 * that lies in this repository.
 */
import { join } from "node:path";
import { checkpointOf, gpuWorker, worker } from "../paths.mjs";
import { run } from "../process.mjs";
import { PRECISION } from "../serving.mjs";

/** @param {import("../serving.mjs").Embedded} model @returns {import("./step.mjs").Step} */
export const weightsOf = (model) => ({
	name: `${model} weights`,
	inputs: () =>
		[
			`weights/${model}`,
			"minigpt4/checkpoints",
			"minigpt4/config.py",
			"minigpt4/efficientnet.py",
			"uv.lock",
		].map((path) => join(gpuWorker, path)),
	outputs: [join(checkpointOf(model), "config.json")],
	run: ({ log, signal, onLine }) => {
		const precision = PRECISION[model];
		return run(
			worker,
			[
				"assemble",
				model,
				"--out",
				checkpointOf(model),
				...(precision ? ["--precision", precision] : []),
			],
			{ what: `minigpt4-worker assemble ${model}`, log, signal, onLine },
		);
	},
});
