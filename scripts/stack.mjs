// @ts-check
/**
 * The three servers of a local deployment, one function each: `npm start` runs them, the end-to-end tests too.
 * All listen on 127.0.0.1 only, get their secrets through the environment or a private file, and end with us.
 */
import { mkdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { BUCKET, ensureBucket, REGION } from "./bucket.mjs";
import * as paths from "./paths.mjs";
import { CommandFailed, launch, rotate } from "./process.mjs";
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
 * @param {string} [hopeless] what its log says when waiting is in vain
 */
async function untilUp(what, url, daemon, timeout, hopeless) {
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
		if (hopeless && readFileSync(daemon.log, "utf8").includes(hopeless)) {
			await daemon.stop();
			throw new CommandFailed(`The ${what} did not start.`, daemon.log);
		}
		if (Date.now() > deadline) {
			await daemon.stop();
			throw new CommandFailed(
				`The ${what} was not up after ${timeout / 1000} s.`,
				daemon.log,
			);
		}
	}
}

/**
 * versitygw over a folder, with the bucket in it.
 * @param {Place & { origins?: string[] }} options `origins`: pages that may upload from a browser
 * @returns {Promise<Server>}
 */
export async function startS3({ port, state, secrets, origins = [] }) {
	const data = join(state, "s3", "data");
	const sidecar = join(state, "s3", "meta"); // works where the file system has no extended attributes
	for (const folder of [data, sidecar]) mkdirSync(folder, { recursive: true });
	const log = join(state, "log", "s3.log");
	rotate(log);
	const address = `127.0.0.1:${port}`;
	const daemon = await launch(
		paths.versitygw,
		[
			"--port",
			address,
			"--region",
			REGION,
			"--quiet",
			"posix",
			"--sidecar",
			sidecar,
			data,
		],
		{
			log,
			env: {
				ROOT_ACCESS_KEY_ID: secrets.s3AccessKey,
				ROOT_SECRET_ACCESS_KEY: secrets.s3SecretKey,
			},
		},
	);
	const url = `http://${address}`;
	await untilUp("S3 server", url, daemon, 20_000);
	await ensureBucket({
		endpoint: url,
		accessKeyId: secrets.s3AccessKey,
		secretAccessKey: secrets.s3SecretKey,
		origins: origins.length > 0 ? origins : ["http://127.0.0.1"],
	});
	return { url, port, daemon, stop: () => daemon.stop() };
}

/**
 * The edge worker in wrangler's dev server; its objects live in `<state>/edge`.
 * @param {Place & { s3: string, worker: string | Record<string, string | string[]>, vars?: Record<string, string>, entry?: string, config?: string }} options
 *   `s3`: URL; `worker`: nano's URL, or each model's, or those of its replicas; `vars`: configuration (src/env.ts) on top of, or instead of, the usual;
 *   `entry`: instead of src/index.ts; `config`: instead of wrangler.toml, its folder gets wrangler's temporary files
 * @returns {Promise<Server>}
 */
export async function startEdge({
	port,
	state,
	secrets,
	s3,
	worker,
	vars = {},
	entry,
	config = join(paths.root, "wrangler.toml"),
}) {
	const values = {
		ENVIRONMENT: "development",
		KEY_SECRETS: secrets.keySecret,
		ADMIN_SECRET: secrets.adminSecret,
		...(typeof worker === "string"
			? { WORKER_URL: worker }
			: { WORKERS: workersOf(worker) }),
		WORKER_KEY: secrets.workerKey,
		S3_ENDPOINT: s3,
		S3_REGION: REGION,
		S3_BUCKET: BUCKET,
		S3_ACCESS_KEY_ID: secrets.s3AccessKey,
		S3_SECRET_ACCESS_KEY: secrets.s3SecretKey,
		...vars,
	};
	const envFile = join(state, "edge.env");
	writePrivate(
		envFile,
		Object.entries(values)
			.map(([name, value]) => `${name}=${quoted(value)}\n`)
			.join(""),
	);
	const log = join(state, "log", "edge.log");
	rotate(log);
	const daemon = await launch(
		paths.node,
		[
			join(paths.root, "node_modules", "wrangler", "bin", "wrangler.js"),
			"dev",
			...(entry ? [entry] : []),
			...["--config", config],
			...["--ip", "127.0.0.1", "--port", String(port), "--inspector-port", "0"],
			...["--persist-to", join(state, "edge"), "--env-file", envFile],
			...["--show-interactive-dev-session", "false"],
		],
		{
			cwd: dirname(config),
			log,
			env: {
				XDG_CONFIG_HOME: join(state, "wrangler"),
				WRANGLER_LOG: "log",
				WRANGLER_SEND_METRICS: "false",
				WRANGLER_LOG_PATH: join(state, "log", "wrangler"),
				CLOUDFLARE_CF_FETCH_ENABLED: "false",
				X_LOCAL_EXPLORER: "false",
				X_LOCAL_OBSERVABILITY: "false", // a trace store that costs up to half the throughput
				FORCE_COLOR: "0",
			},
		},
	);
	const url = `http://127.0.0.1:${port}`;
	await untilUp("edge", `${url}/healthz`, daemon, 60_000, "Build failed with");
	return { url, port, daemon, stop: () => daemon.stop() };
}

/** @param {Record<string, string | string[]>} urls by model */
const workersOf = (urls) =>
	JSON.stringify(
		Object.fromEntries(
			Object.entries(urls).map(([model, url]) => [model, { url }]),
		),
	);

/** A value as an env file wants it: JSON goes between single quotes, within which nothing is escaped. @param {string} value */
const quoted = (value) =>
	value.includes('"') ? `'${value}'` : JSON.stringify(value);

/**
 * The GPU worker on the CPU, with `nano` unless told otherwise. Resolves once the process runs; `ready` once the engine answers.
 * @param {Place & { imagesFrom: string[], model?: string, checkpoint?: string, args?: string[] }} options
 *   `imagesFrom`: origins that image URLs may name; `checkpoint`: folder of the model; `args`: more for `minigpt4-worker serve`
 * @returns {Promise<Server & { ready: Promise<void> }>}
 */
export async function startWorker({
	port,
	state,
	secrets,
	imagesFrom,
	model = "nano",
	checkpoint = paths.nano,
	args = [],
}) {
	const name = model === "nano" ? "worker" : `worker-${model}`;
	const log = join(state, "log", `${name}.log`);
	rotate(log);
	const daemon = await launch(
		paths.worker,
		[
			...["serve", model, "--checkpoint", checkpoint, "--port", String(port)],
			...imagesFrom.flatMap((origin) => ["--allow-images-from", origin]),
			...["--drain-seconds", "5", ...args],
		],
		{ log, env: { MINIGPT4_WORKER_KEY: secrets.workerKey } },
	);
	const url = `http://127.0.0.1:${port}`;
	const ready = untilUp("GPU worker", `${url}/readyz`, daemon, 600_000);
	ready.catch(() => {}); // who waits for it sees it
	return { url, port, daemon, ready, stop: () => daemon.stop() };
}
