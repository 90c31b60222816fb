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
 * What a model takes: its parts, and the reader beside mini.
 * @type {Record<import("../serving.mjs").Embedded, string[]>}
 */
const EXTRAS = { mini: ["mini", "reader"], nano: ["nano"] };

/**
 * @param {boolean} tools
 * @param {readonly string[]} extras of pyproject.toml
 * @returns {import("./step.mjs").Step}
 */
const environment = (tools, extras) => ({
	name: "Python packages",
	inputs: () => [...lock, tools ? "with tools" : "without tools", ...extras],
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
				...extras.flatMap((extra) => ["--extra", extra]),
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
export const pythonPackagesFor = (model) => environment(false, EXTRAS[model]);
export const pythonPackagesAndTools = environment(true, ["nano", "reader"]);
