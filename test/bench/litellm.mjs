// @ts-check
/**
 * The LiteLLM proxy, which the gateway bench measures beside the edge. It is installed for that
 * bench alone, at the version of litellm/uv.lock.
 */
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as paths from "../../scripts/paths.mjs";
import { freePort } from "../../scripts/ports.mjs";
import { launch, rotate, run } from "../../scripts/process.mjs";
import { writePrivate } from "../../scripts/secrets.mjs";
import { isFresh, perform } from "../../scripts/setup/step.mjs";
import { uv, uvItself } from "../../scripts/setup/uv.mjs";
import { untilUp } from "../../scripts/stack.mjs";

const project = join(import.meta.dirname, "litellm");
const environment = join(paths.state, "litellm");
const command = join(environment, "bin", "litellm");
const KEY = "sk-bench";

/** @type {import("../../scripts/setup/step.mjs").Step} */
const installed = {
	name: "LiteLLM",
	inputs: () =>
		["pyproject.toml", "uv.lock"].map((file) => join(project, file)),
	outputs: [command],
	run: ({ log, signal, onLine }) =>
		run(uv, ["sync", "--frozen"], {
			what: "uv sync",
			cwd: project,
			log,
			signal,
			onLine,
			env: {
				UV_PROJECT_ENVIRONMENT: environment,
				VIRTUAL_ENV: undefined,
				UV_NO_PROGRESS: "1",
			},
		}),
};

/** @param {import("../../scripts/terminal.mjs").Board} board */
export async function installLiteLLM(board) {
	const log = join(paths.state, "log", "setup-litellm.log");
	const { signal } = new AbortController();
	for (const step of [uvItself, installed]) {
		if (isFresh(step)) continue;
		const row = board.row(step.name);
		await perform(step, {
			log,
			signal,
			onLine: (line) => {
				row.detail = line.trim() || row.detail;
			},
		});
		row.done("");
	}
	const [, version = "unknown"] =
		/litellm\[proxy\]==([\w.]+)/.exec(
			readFileSync(join(project, "pyproject.toml"), "utf8"),
		) ?? [];
	return version;
}

/**
 * One worker process, which checks a key as the edge does, keeps no database, logs errors only and
 * does not try again.
 * @param {string} engine URL of an engine that speaks OpenAI's protocol
 */
export async function startLiteLLM(engine) {
	const state = join(paths.state, "bench-litellm");
	mkdirSync(state, { recursive: true });
	const config = join(state, "config.json"); // JSON is YAML
	const params = {
		model: "openai/nano",
		api_base: `${engine}/v1`,
		api_key: "-",
	};
	writePrivate(
		config,
		JSON.stringify({
			model_list: [{ model_name: "nano", litellm_params: params }],
			litellm_settings: { num_retries: 0, telemetry: false },
			general_settings: { master_key: KEY },
		}),
	);
	const port = await freePort();
	const log = join(state, "litellm.log");
	rotate(log);
	const daemon = await launch(
		command,
		[
			"--config",
			config,
			"--host",
			"127.0.0.1",
			"--port",
			String(port),
			"--num_workers",
			"1",
		],
		{
			log,
			cwd: state,
			env: {
				LITELLM_LOG: "ERROR",
				LITELLM_MODE: "PRODUCTION",
				LITELLM_LOCAL_MODEL_COST_MAP: "True", // else it fetches one
				DATABASE_URL: undefined,
			},
		},
	);
	const url = `http://127.0.0.1:${port}`;
	await untilUp("LiteLLM proxy", `${url}/health/liveliness`, daemon, 180_000);
	return { url, key: KEY, daemon };
}
