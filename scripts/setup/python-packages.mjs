// @ts-check
/**
 * The worker's environment. Tests bring the developers' tools; `npm start` takes them where they
 * are, and does without them elsewhere.
 */
import { join } from "node:path";
import { gpuWorker, worker } from "../paths.mjs";
import { run } from "../process.mjs";
import { uv } from "./uv.mjs";

const lock = ["pyproject.toml", "uv.lock"].map((file) => join(gpuWorker, file));

/**
 * @param {boolean} tools
 * @param {readonly import("../serving.mjs").Embedded[]} models whose parts are installed
 * @returns {import("./step.mjs").Step}
 */
const environment = (tools, models) => ({
	name: "Python packages",
	inputs: () => [...lock, tools ? "with tools" : "without tools", ...models],
	outputs: tools
		? [worker, join(gpuWorker, ".venv", "bin", "pytest")]
		: [worker],
	run: ({ log, signal, onLine }) =>
		run(
			uv,
			[
				"sync",
				"--frozen",
				"--extra",
				"cpu",
				...models.flatMap((model) => ["--extra", model]),
				// What tests, or another model, brought stays.
				"--inexact",
				...(tools ? [] : ["--no-dev"]),
			],
			{
				what: "uv sync",
				cwd: gpuWorker,
				log,
				signal,
				onLine,
				env: {
					VIRTUAL_ENV: undefined,
					UV_LINK_MODE: undefined,
					UV_NO_PROGRESS: "1",
				},
			},
		),
});

/** @param {import("../serving.mjs").Embedded} model */
export const pythonPackagesFor = (model) => environment(false, [model]);
export const pythonPackagesAndTools = environment(true, ["nano"]);
