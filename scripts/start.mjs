// @ts-check
/** `npm start`: set-up, then the edge with its bucket, and the GPU worker, until Ctrl-C. */
import { once } from "node:events";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { developmentAccount, signInLink } from "./development.mjs";
import { tryLock } from "./lock.mjs";
import * as paths from "./paths.mjs";
import { requirePorts } from "./ports.mjs";
import { anyRunning, killAll, stopAll, tail } from "./process.mjs";
import { secretsOf } from "./secrets.mjs";
import { chooseModel, DEFAULT_MODEL } from "./serving.mjs";
import { setUp } from "./setup.mjs";
import { startEdge, startWorker } from "./stack.mjs";
import { Board, bold, cyan, dim, duration, red, yellow } from "./terminal.mjs";

const HELP = `npm start -- [options]

  --model <name>     mini or nano (MODEL, ${DEFAULT_MODEL})
  --port <n>         the edge and its playground (PORT, 8787)
  --s3-port <n>      the bucket's S3 API (S3_PORT, 7070)
  --worker-port <n>  the GPU worker (WORKER_PORT, 8000)
  --state <folder>   data, secrets and logs (STATE, .state)
  --allowed-origins <list>
                     other pages that may upload photos over 4 MB, with commas
                     between their origins (ALLOWED_ORIGINS, none)
  --egress-allow <host[:port]>
                     a host that images and webhooks may lead to although it is not public, such as
                     localhost:3000; may be given several times (EGRESS_ALLOW, with commas between)
`;

/** @typedef {import("./stack.mjs").Server} Server */

function options() {
	const { values } = parseArgs({
		options: {
			model: { type: "string", default: process.env.MODEL },
			port: { type: "string", default: process.env.PORT || "8787" },
			"s3-port": { type: "string", default: process.env.S3_PORT || "7070" },
			"worker-port": {
				type: "string",
				default: process.env.WORKER_PORT || "8000",
			},
			state: { type: "string", default: process.env.STATE || paths.state },
			"allowed-origins": {
				type: "string",
				default: process.env.ALLOWED_ORIGINS || "",
			},
			"egress-allow": {
				type: "string",
				multiple: true,
				default: [process.env.EGRESS_ALLOW || ""],
			},
			help: { type: "boolean", default: false },
		},
	});
	if (values.help) {
		process.stdout.write(HELP);
		process.exit(0);
	}
	/** @param {"port" | "s3-port" | "worker-port"} flag */
	const port = (flag) => {
		const n = Number(values[flag]);
		if (!Number.isInteger(n) || n < 1 || n > 65_535) {
			throw new Error(
				`--${flag} ${values[flag]}: a port is a number from 1 to 65535`,
			);
		}
		return n;
	};
	return {
		...chooseModel(values.model || undefined),
		ports: {
			edge: port("port"),
			s3: port("s3-port"),
			worker: port("worker-port"),
		},
		state: resolve(values.state),
		origins: originsOf(values["allowed-origins"]),
		egress: values["egress-allow"].flatMap(hostsIn),
	};
}

/** The origins of a list, each as browsers send it. @param {string} list */
function originsOf(list) {
	const origins = list
		.split(",")
		.map((each) => each.trim())
		.filter(Boolean);
	for (const each of origins) {
		const isURL = /^https?:/i.test(each) && URL.canParse(each);
		const url = isURL ? new URL(each) : null;
		const right =
			url?.origin ?? "scheme, host and port, as in https://app.example.com";
		if (right !== each)
			throw new Error(`--allowed-origins ${each}: write ${right}`);
	}
	return origins;
}

/** Hosts with commas between them, each with a port or without. @param {string} text */
function hostsIn(text) {
	const hosts = text
		.split(",")
		.map((host) => host.trim())
		.filter(Boolean);
	const wrong = hosts.find(
		(host) => !/^(\[[\da-f:.]+\]|[\w.-]+)(:\d{1,5})?$/i.test(host),
	);
	if (wrong)
		throw new Error(
			`--egress-allow ${wrong}: name a host, or host:port, as in localhost:3000`,
		);
	return hosts;
}

/** @param {string} url @param {string} link @param {string} key @param {string} model */
function welcome(url, link, key, model) {
	const sample = "samples/cat.jpg"; // small enough for one argument of a command: 128 KiB
	const image = `data:image/jpeg;base64,'"$(base64 < ${sample} | tr -d '\\n')"'`;
	const body =
		`{"model":"${model}","images":[{"url":"${image}"}],` +
		'"prompt":"What is in this picture?","temperature":0}';
	return [
		"",
		`  ${bold("Playground")}   ${cyan(`${url}/#key=${key}`)}`,
		`  ${bold("Console")}      ${cyan(link)}`,
		`  ${bold("Docs")}         ${cyan(`${url}/docs`)}`,
		`  ${bold("API key")}      ${key}`,
		"",
		`  ${dim("Ask about a photo, from this folder:")}`,
		"",
		`curl -N ${url}/v1/jobs \\`,
		`  -H "Authorization: Bearer ${key}" \\`,
		'  -H "Accept: text/event-stream" \\',
		'  -H "Content-Type: application/json" \\',
		`  -d '${body}'`,
		"",
	].join("\n");
}

const began = Date.now();
const board = new Board();
const over = new AbortController();
let exitCode = 0;

/** Ends the wait below; the first reason counts. @param {string} [problem] */
function end(problem) {
	if (over.signal.aborted) return;
	if (problem) {
		board.print(`\n${red(problem)}`);
		exitCode = 1;
	}
	over.abort(new Error("stopping"));
}

for (const name of /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"])) {
	process.on(name, () => {
		if (over.signal.aborted) void killAll(); // asked twice
		end();
	});
}
if (process.env.npm_lifecycle_event) {
	// npm was killed hard: nobody is left to forward a signal.
	const parent = process.ppid;
	setInterval(() => process.ppid === parent || end(), 1000).unref();
}

/**
 * The edge and the bucket, in one process and one row.
 * @param {Parameters<typeof startEdge>[0]} options
 */
async function serveEdge(options) {
	over.signal.throwIfAborted();
	const row = board.row("edge", "starting");
	try {
		const edge = await startEdge(options);
		row.done(`${edge.url}, the bucket on ${new URL(edge.s3).origin}`);
		return edge;
	} catch (error) {
		if (over.signal.aborted) row.drop();
		else row.fail("");
		throw error;
	}
}

/** The rest cannot live without it. @param {Server} edge */
function vital({ daemon }) {
	void daemon.exited.then(({ code, signal }) => {
		end(
			[
				`The edge ended (${signal ?? `exit ${code}`}).`,
				tail(daemon.log),
				`The whole log: ${daemon.log}`,
			].join("\n"),
		);
	});
}

/**
 * @param {string} log the worker's
 * @returns {string | undefined} the last phase of its boot that is over
 */
const bootPhase = (log) =>
	[...tail(log).matchAll(/"phase": "([^"]+)"/g)].at(-1)?.[1];

/**
 * Keeps a GPU worker running: after a crash it starts again, later each time in a row.
 * @param {string} model
 * @param {() => ReturnType<typeof startWorker>} start
 */
async function keepWorker(model, start) {
	for (let failures = 0; ; failures++) {
		over.signal.throwIfAborted();
		const row = board.row(
			"GPU worker",
			`${model} on the CPU, booting the engine`,
		);
		const server = await start();
		const watch = setInterval(() => {
			const phase = bootPhase(server.daemon.log);
			if (phase) row.detail = `${model} on the CPU, done: ${phase}`;
		}, 500);
		const ready = await server.ready.then(
			() => true,
			() => false,
		);
		clearInterval(watch);
		if (ready) {
			row.done(`${server.url}, ready`);
			const since = Date.now();
			await server.daemon.exited;
			if (Date.now() - since > 60_000) failures = 0;
		} else row.drop();
		const { code, signal } = await server.daemon.exited;
		over.signal.throwIfAborted();
		const wait = Math.min(60_000, 1000 * 2 ** failures);
		const how = signal ?? `exit ${code}`;
		board.print(
			[
				yellow(
					`  ! The GPU worker ended (${how}); it starts again in ${duration(wait)}. ` +
						"Jobs wait for it.",
				),
				dim(tail(server.daemon.log, 6)),
				`    ${dim(server.daemon.log)}`,
			].join("\n"),
		);
		await sleep(wait, undefined, { signal: over.signal });
	}
}

async function main() {
	const { model, warning, ports, state, origins, egress } = options();
	if (warning) board.print(yellow(`  ! ${warning}`));
	const owner = tryLock(join(state, "start.lock"));
	if (owner) {
		throw new Error(
			`npm start is running already on ${state} (process ${owner}). ` +
				"Stop it, or keep a second one apart:\n" +
				"npm start -- --state <folder> --port <port> --s3-port <port> --worker-port <port>",
		);
	}
	await requirePorts([
		{ who: "edge", port: ports.edge, flag: "--port", variable: "PORT" },
		{
			who: "bucket's S3 API",
			port: ports.s3,
			flag: "--s3-port",
			variable: "S3_PORT",
		},
		{
			who: "GPU worker",
			port: ports.worker,
			flag: "--worker-port",
			variable: "WORKER_PORT",
		},
	]);
	const secrets = secretsOf(state);
	const parts = setUp({ board, model, signal: over.signal });
	const work = (async () => {
		await parts.edge;
		const url = `http://127.0.0.1:${ports.edge}`;
		const worker = parts.weights.then(() =>
			keepWorker(model, () =>
				startWorker({
					model,
					port: ports.worker,
					state,
					secrets,
					imagesFrom: [`http://127.0.0.1:${ports.s3}`],
				}),
			),
		);
		worker.catch(() => {}); // awaited below, unless something else fails first
		const edge = await serveEdge({
			port: ports.edge,
			state,
			secrets,
			bundle: paths.bundle,
			s3: {
				port: ports.s3,
				origins: [url, `http://localhost:${ports.edge}`, ...origins],
			},
			worker: { [model]: `http://127.0.0.1:${ports.worker}` },
			vars: { EGRESS_ALLOW: egress.join(",") },
		});
		vital(edge);
		const operated = { edge: edge.url, adminSecret: secrets.adminSecret };
		const { id, key } = await developmentAccount({ ...operated, state });
		const link = await signInLink(operated, id);
		board.print(welcome(edge.url, link, key, model));
		board.print(
			dim(
				`  Up after ${duration(Date.now() - began)}. ` +
					`Ctrl-C stops everything; data and logs stay in ${state}.\n`,
			),
		);
		await worker;
	})();
	await Promise.all([parts.all, work]);
}

const asked = once(over.signal, "abort").then(() =>
	over.signal.throwIfAborted(),
);
try {
	await Promise.race([main(), asked]);
} catch (error) {
	if (!over.signal.aborted)
		end(error instanceof Error ? error.message : String(error));
}
board.clear();
const stopping = anyRunning() ? board.row("stopping") : undefined;
await stopAll();
stopping?.done("everything is down");
process.exit(exitCode);
