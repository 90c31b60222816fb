// @ts-check
/**
 * `npm run bench -- edge`: time to first token and tokens per second, through the edge and straight
 * to the worker, side by side on one stack of its own. Both sides get the same photos and the same
 * prompt, greedy, and take turns.
 */

import { rmSync } from "node:fs";
import { cpus, loadavg, totalmem } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { developmentAccount } from "../../scripts/development.mjs";
import * as paths from "../../scripts/paths.mjs";
import { freePort } from "../../scripts/ports.mjs";
import { stopAll } from "../../scripts/process.mjs";
import { secretsOf } from "../../scripts/secrets.mjs";
import { setUp } from "../../scripts/setup.mjs";
import { startEdge, startWorker } from "../../scripts/stack.mjs";
import { Board, bold, dim, red } from "../../scripts/terminal.mjs";
import { edgeClient, workerClient } from "./clients.mjs";
import { jobCosts, medianCost } from "./job-costs.mjs";
import { load } from "./load.mjs";
import { picture } from "./pictures.mjs";

const PROMPT = "Describe this image in detail."; // gets longer answers than a question does
const HELP = `npm run bench -- [edge] [options]

  --concurrency <list>  readers at once (1,4,16)
  --requests <n>        questions per reader and cell, at least eight a cell (3)
  --tokens <n>          longest answer (64)
  --seed <n>            picks the photos (1)
  --json                the figures as JSON, and nothing else
  --edge <url> --worker <url>
                        measure a stack that runs already; keys in MINIGPT4_API_KEY and
                        MINIGPT4_WORKER_KEY
`;

const { values: options } = parseArgs({
	args: process.argv.slice(2).filter((word, n) => n > 0 || word !== "edge"),
	options: {
		concurrency: { type: "string", default: "1,4,16" },
		requests: { type: "string", default: "3" },
		tokens: { type: "string", default: "64" },
		seed: { type: "string", default: "1" },
		json: { type: "boolean", default: false },
		edge: { type: "string" },
		worker: { type: "string" },
		help: { type: "boolean", default: false },
	},
});

/** @typedef {import("./clients.mjs").Client} Client */

/**
 * @returns {Promise<{ edge: Client, worker: Client, log?: string }>} `log`: the edge's, of a stack
 *   of our own
 */
async function clients() {
	if (options.edge && options.worker) {
		const { MINIGPT4_API_KEY: key = "", MINIGPT4_WORKER_KEY: workerKey = "" } =
			process.env;
		return {
			edge: edgeClient(options.edge, key),
			worker: workerClient(options.worker, workerKey),
		};
	}
	await setUp({ board }).all;
	const state = join(paths.state, "bench");
	rmSync(state, { recursive: true, force: true });
	const secrets = secretsOf(state);
	const row = board.row("stack", "booting");
	const bucket = { port: await freePort() };
	const worker = await startWorker({
		port: await freePort(),
		state,
		secrets,
		imagesFrom: [`http://127.0.0.1:${bucket.port}`],
	});
	await worker.ready;
	const edge = await startEdge({
		port: await freePort(),
		state,
		secrets,
		s3: bucket,
		bundle: paths.bundle,
		worker: worker.url,
		// One account asks for all.
		vars: {
			LIMIT_CONCURRENT_JOBS: "100000",
			LIMIT_REQUESTS_PER_MINUTE: "1000000",
			LIMIT_TOKENS_PER_MINUTE: "1000000000",
		},
	});
	const { key } = await developmentAccount({
		edge: edge.url,
		state,
		adminSecret: secrets.adminSecret,
	});
	row.done("ready");
	return {
		edge: edgeClient(edge.url, key),
		worker: workerClient(worker.url, secrets.workerKey),
		log: edge.daemon.log,
	};
}

const SIDES = /** @type {const} */ (["worker", "edge"]);
/** @typedef {import("./load.mjs").Measured} Measured */
/**
 * @typedef {object} Cell
 * @property {number} concurrency
 * @property {Measured} worker
 * @property {Measured} edge
 * @property {import("./job-costs.mjs").Cost | undefined} [perJob]
 */

async function measure() {
	const ask = await clients();
	const tokens = Number(options.tokens);
	let photo = Number(options.seed) * 10_000;
	/** @param {typeof SIDES[number]} side @param {number} n */
	const question = (side, n) =>
		ask[side]({
			base64: picture(n).toString("base64"),
			prompt: PROMPT,
			tokens,
			id: `bench-${side}-${n}`,
		});
	for (const side of SIDES)
		for (let n = 0; n < 2; n++) await question(side, photo++); // warm

	/** @type {Cell[]} */
	const cells = [];
	for (const concurrency of options.concurrency.split(",").map(Number)) {
		const row = board.row(`concurrency ${concurrency}`);
		const requests = Math.max(8, concurrency * Number(options.requests));
		const first = photo;
		photo += requests;
		/** @type {Partial<Cell>} */
		const cell = { concurrency };
		const before = ask.log ? jobCosts(ask.log).length : 0;
		// Each second cell the other side begins, so that a drift of the machine favours neither.
		for (const side of cells.length % 2 ? [...SIDES].reverse() : SIDES) {
			row.detail = side;
			cell[side] = await load({
				concurrency,
				requests,
				ask: (n) => question(side, first + n),
			});
		}
		if (ask.log) {
			await sleep(500); // a job's line follows its last event
			cell.perJob = medianCost(jobCosts(ask.log).slice(before));
		}
		row.done(`${requests} questions a side`);
		cells.push(/** @type {Cell} */ (cell));
	}
	return cells;
}

/** @param {Cell[]} cells */
function table(cells) {
	const ms = (/** @type {number} */ value) =>
		`${Math.round(value)} ms`.padStart(9);
	const rate = (/** @type {number} */ value) => value.toFixed(1).padStart(8);
	const times = (/** @type {number} */ value) =>
		`${value.toFixed(2)} ×`.padStart(9);
	const count = (/** @type {number | undefined} */ value) =>
		String(value ?? "–").padStart(7);
	const lines = cells.map(({ concurrency, worker, edge, perJob }) =>
		[
			`  ${String(concurrency).padStart(11)} ${String(worker.requests).padStart(4)}`,
			`${ms(worker.ttft.p50)}${ms(worker.ttft.p95)}${rate(worker.tokensPerSecond)}`,
			`${ms(edge.ttft.p50)}${ms(edge.ttft.p95)}${rate(edge.tokensPerSecond)}`,
			times(edge.ttft.p50 / worker.ttft.p50) +
				times(edge.tokensPerSecond / worker.tokensPerSecond),
			`${count(perJob?.rpcs)}${count(perJob?.writes)}`,
		].join("   "),
	);
	const side = `${"TTFT p50".padStart(9)}${"p95".padStart(9)}${"tok/s".padStart(8)}`;
	const heads = [
		`  ${"".padStart(16)}`,
		"straight to the worker".padStart(26),
		"through the edge".padStart(26),
		"edge ÷ worker".padStart(18),
		"per job".padStart(14),
	];
	const units = [
		`  ${"concurrency".padStart(11)} ${"n".padStart(4)}`,
		side,
		side,
		`${"TTFT p50".padStart(9)}${"tok/s".padStart(9)}`,
		`${"RPCs".padStart(7)}${"writes".padStart(7)}`,
	];
	return [bold(heads.join("   ")), dim(units.join("   ")), ...lines].join("\n");
}

const board = new Board(options.json ? process.stderr : process.stdout);
if (options.help) {
	process.stdout.write(HELP);
	process.exit(0);
}
for (const name of /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"])) {
	process.on(
		name,
		() => void stopAll({ grace: 3000 }).then(() => process.exit(130)),
	);
}
let exitCode = 0;
try {
	const before = loadavg()[0] ?? 0;
	const cells = await measure();
	const GiB = Math.round(totalmem() / 2 ** 30);
	const about = {
		date: new Date().toISOString(),
		machine: `${cpus().length} × ${cpus()[0]?.model.trim()}, ${GiB} GiB`,
		load: { before, after: loadavg()[0] ?? 0 },
		seed: Number(options.seed),
		prompt: PROMPT,
		tokens: Number(options.tokens),
	};
	if (options.json) {
		process.stdout.write(
			`${JSON.stringify({ ...about, cells }, null, "\t")}\n`,
		);
	} else {
		board.print(`\n${table(cells)}\n`);
		const { date, machine, tokens, seed } = about;
		const after = about.load.after.toFixed(1);
		board.print(
			dim(
				`  ${date} · ${machine} · load ${before.toFixed(1)} before, ${after} after\n` +
					`  nano, greedy, up to ${tokens} tokens, seed ${seed}; ` +
					"n questions a side, each with a photo no cache has seen\n" +
					"  RPCs and durable writes: of the Job object, median; " +
					"the edge itself makes two more calls, admit and start\n",
			),
		);
	}
} catch (error) {
	board.print(
		`\n${red(error instanceof Error ? error.message : String(error))}`,
	);
	exitCode = 1;
}
await stopAll();
process.exit(exitCode);
