// @ts-check
/**
 * The servers of a local deployment: the edge, the bucket's S3 API in its process or in another,
 * the GPU worker. `npm start` runs them, the end-to-end tests too. All listen on 127.0.0.1 only,
 * get their secrets through the environment or a private file, and end with us.
 */
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { BUCKET, corsRule, REGION } from "./bucket.mjs";
import * as paths from "./paths.mjs";
import { freePort } from "./ports.mjs";
import { CommandFailed, launch, rotate, run } from "./process.mjs";
import { writePrivate } from "./secrets.mjs";

/** @typedef {import("./process.mjs").Daemon} Daemon */
/** @typedef {import("./secrets.mjs").Secrets} Secrets */
/**
 * @typedef {object} Server
 * @property {string} url
 * @property {number} port
 * @property {Daemon} daemon the process; `daemon.kill()` is a crash
 * @property {() => Promise<unknown>} stop
 */
/**
 * @typedef {object} Place
 * @property {number} port
 * @property {string} state folder that keeps this deployment's data and logs
 * @property {Secrets} secrets
 */

/**
 * Waits until the URL answers with a status below 500.
 * @param {string} what @param {string} url @param {Daemon} daemon @param {number} timeout ms
 */
export async function untilUp(what, url, daemon, timeout) {
	for (const deadline = Date.now() + timeout; ; await sleep(50)) {
		if (daemon.exit) {
			const how = daemon.exit.signal ?? `exit ${daemon.exit.code}`;
			throw new CommandFailed(
				`The ${what} ended while starting (${how}).`,
				daemon.log,
			);
		}
		try {
			const answer = await fetch(url, { signal: AbortSignal.timeout(5000) });
			await answer.body?.cancel();
			if (answer.status < 500) return;
		} catch {} // not listening yet
		if (Date.now() > deadline) {
			await daemon.stop();
			throw new CommandFailed(
				`The ${what} was not up after ${timeout / 1000} s.`,
				daemon.log,
			);
		}
	}
}

/** Where Miniflare's R2 answers as S3 does. */
const S3_PATH = "/cdn-cgi/local/r2/s3";

/**
 * @typedef {object} Bucket
 * @property {number} port
 * @property {string[]} [origins] pages that may upload from a browser
 */

/**
 * Writes the Worker into a folder, as `wrangler deploy` would upload it.
 * @param {string} folder
 * @param {object} [options]
 * @param {string} [options.root] of another checkout
 * @param {string} [options.entry] instead of src/index.ts
 * @param {boolean} [options.readable] not minified
 * @param {string} [options.log]
 * @param {AbortSignal} [options.signal]
 * @returns {Promise<string>} the folder, for `startEdge`
 */
export async function bundleEdge(
	folder,
	{
		root = paths.root,
		entry = "",
		readable = false,
		log = join(folder, "bundle.log"),
		signal,
	} = {},
) {
	rotate(log);
	await run(
		paths.node,
		[
			join(edgeScripts, "bundle.mjs"),
			folder,
			root,
			entry,
			...(readable ? ["--minify=false"] : []),
		],
		{
			what: "Bundling the edge",
			log,
			signal,
			env: {
				XDG_CONFIG_HOME: join(folder, "wrangler"),
				WRANGLER_SEND_METRICS: "false",
				WRANGLER_LOG_PATH: join(folder, "wrangler"),
				FORCE_COLOR: "0",
			},
		},
	);
	return folder;
}

const edgeScripts = join(paths.root, "scripts", "edge");

/**
 * Miniflare, with what is asked for in one process. It keeps its data where `wrangler dev
 * --persist-to <state>/<name>` would.
 * @param {string} state @param {"edge" | "s3"} name of its data, its settings and its log
 * @param {Omit<import("./edge/serve.mjs").Settings, "persist" | "port">} parts
 */
async function startMiniflare(state, name, parts) {
	const settings = join(state, `${name}.json`);
	const persist = join(state, name, "v3");
	const port = await freePort();
	writePrivate(settings, JSON.stringify({ persist, port, ...parts }));
	const log = join(state, "log", `${name}.log`);
	rotate(log);
	return launch(paths.node, [join(edgeScripts, "serve.mjs"), settings], {
		log,
		env: { FORCE_COLOR: "0" },
	});
}

/** @param {Bucket} bucket @param {Secrets} secrets */
const s3Part = ({ port, origins = [] }, secrets) => ({
	port,
	cors: corsRule(origins),
	accessKeyId: secrets.s3AccessKey,
	secretAccessKey: secrets.s3SecretKey,
});

/** @param {number} port @returns {string} the bucket's URL */
export const s3At = (port) => `http://127.0.0.1:${port}${S3_PATH}`;

/**
 * The bucket behind its S3 API, in a process of its own.
 * @param {Place & Bucket} options
 * @returns {Promise<Server>}
 */
export async function startS3({ port, state, secrets, origins = [] }) {
	const s3 = s3Part({ port, origins }, secrets);
	const daemon = await startMiniflare(state, "s3", { s3 });
	const url = s3At(port);
	await untilUp("S3 server", url, daemon, 60_000);
	return { url, port, daemon, stop: () => daemon.stop() };
}

/**
 * @typedef {object} EdgeOptions
 * @property {string | Bucket} s3 the URL of one that runs, or one to serve from the same process
 * @property {string | Record<string, string | string[]>} worker nano's URL, or each model's, or
 *   those of its replicas
 * @property {string} bundle what `bundleEdge` made
 * @property {Record<string, string>} [vars] configuration (src/env.ts) beside, or instead of, the
 *   usual
 * @property {number | undefined} [inspector] port of V8's inspector
 */

/**
 * The edge worker in Miniflare; its objects live in `<state>/edge`.
 * @param {Place & EdgeOptions} options
 * @returns {Promise<Server & { s3: string }>} `s3`: its bucket's URL
 */
export async function startEdge({
	port,
	state,
	secrets,
	s3,
	worker,
	vars = {},
	bundle,
	inspector,
}) {
	const bucket = typeof s3 === "string" ? undefined : s3;
	const s3Url = typeof s3 === "string" ? s3 : s3At(s3.port);
	const values = {
		ENVIRONMENT: "development",
		KEY_SECRETS: secrets.keySecret,
		ADMIN_SECRET: secrets.adminSecret,
		...(typeof worker === "string"
			? { WORKER_URL: worker }
			: { WORKERS: workersOf(worker) }),
		WORKER_KEY: secrets.workerKey,
		S3_ENDPOINT: s3Url,
		S3_REGION: REGION,
		S3_BUCKET: BUCKET,
		S3_ACCESS_KEY_ID: secrets.s3AccessKey,
		S3_SECRET_ACCESS_KEY: secrets.s3SecretKey,
		...vars,
	};
	const daemon = await startMiniflare(state, "edge", {
		edge: { port, bundle, vars: values },
		...(bucket && { s3: s3Part(bucket, secrets) }),
		...(inspector !== undefined && { inspector }),
	});
	const url = `http://127.0.0.1:${port}`;
	await untilUp("edge", `${url}/healthz`, daemon, 60_000);
	return { url, port, s3: s3Url, daemon, stop: () => daemon.stop() };
}

/** @param {Record<string, string | string[]>} urls by model */
const workersOf = (urls) =>
	JSON.stringify(
		Object.fromEntries(
			Object.entries(urls).map(([model, url]) => [model, { url }]),
		),
	);

/**
 * @typedef {object} WorkerOptions
 * @property {string[]} imagesFrom URLs of stores, whose origins image URLs may name
 * @property {string} [model]
 * @property {string} [checkpoint] folder of the model
 * @property {string[]} [args] more for `minigpt4-worker serve`
 */

/**
 * The GPU worker on the CPU, with `nano` unless told otherwise. Resolves once the process runs;
 * `ready` once the engine answers.
 * @param {Place & WorkerOptions} options
 * @returns {Promise<Server & { ready: Promise<void> }>}
 */
export async function startWorker({
	port,
	state,
	secrets,
	imagesFrom,
	model = "nano",
	checkpoint = paths.checkpointOf(model),
	args = [],
}) {
	const name = model === "nano" ? "worker" : `worker-${model}`;
	const log = join(state, "log", `${name}.log`);
	rotate(log);
	const daemon = await launch(
		paths.worker,
		[
			"serve",
			model,
			"--checkpoint",
			checkpoint,
			"--port",
			String(port),
			...imagesFrom.flatMap((url) => [
				"--allow-images-from",
				new URL(url).origin,
			]),
			"--drain-seconds",
			"5",
			...args,
		],
		{ log, env: { MINIGPT4_WORKER_KEY: secrets.workerKey } },
	);
	const url = `http://127.0.0.1:${port}`;
	const ready = untilUp("GPU worker", `${url}/readyz`, daemon, 600_000);
	ready.catch(() => {}); // who waits for it sees it
	return { url, port, daemon, ready, stop: () => daemon.stop() };
}
