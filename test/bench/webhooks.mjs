// @ts-check
/**
 * `npm run bench -- webhooks`: how late events reach receivers that answer, with and without others
 * that do not.
 */
import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { FakeWorker } from "../support/fake-worker.ts";
import { call, fakeStack } from "./fake-stack.mjs";
import { framed, inTurns } from "./frame.mjs";
import { percentile } from "./load.mjs";
import { cpuSeconds, edgeProcesses } from "./machine.mjs";

/** @typedef {import("../../scripts/terminal.mjs").Board} Board */
/** @typedef {import("./edition.mjs").Edition} Edition */

const HELP = `npm run bench -- webhooks [options]

  --jobs <n>       of each round; each webhook gets one event of each job (100)
  --rounds <n>     with the sick webhooks, and as many without (2)
  --endpoints <n>  webhooks, a third of them sick (50)
  --rate <n>       jobs a second (2)
  --timeout <s>    that the edge waits for a receiver (15)
  --seed <n>       draws which are sick, and is in the prompts (1)
`;
/** After a round's last job everything that is not sick must have arrived within this. */
const ARRIVES_WITHIN_MS = 120_000;

/**
 * @typedef {object} Options
 * @property {number} jobs
 * @property {number} rounds
 * @property {number} endpoints
 * @property {number} rate
 * @property {number} timeout
 * @property {number} seed
 */
/**
 * Milliseconds from the event to the receiver, one for each delivery.
 * @typedef {number[]} Delays
 */

/** @param {string[]} args @returns {Promise<number>} exit code */
export const webhooks = (args) =>
	framed(
		args,
		HELP,
		{ jobs: 100, rounds: 2, endpoints: 50, rate: 2, timeout: 15, seed: 1 },
		(options, board, editions) =>
			inTurns(options.rounds, editions, (edition) =>
				begin(edition, options, board),
			),
	);

/** Receivers at `/<n>`: a sick one takes the request and never answers. */
async function receivers() {
	/** @type {Delays} */
	let delays = [];
	let hung = 0;
	/** @type {Set<string>} */
	const sick = new Set();
	const server = createServer((request, response) => {
		const at = Date.now();
		if (sick.has(request.url ?? "")) {
			hung++;
			return;
		}
		let body = "";
		request.on("data", (chunk) => {
			body += chunk;
		});
		request.on("end", () => {
			response.writeHead(204).end();
			delays.push(at - Date.parse(JSON.parse(body).timestamp));
		});
	});
	await new Promise((resolve) =>
		server.listen(0, "127.0.0.1", () => resolve(null)),
	);
	const address = server.address();
	if (!address || typeof address === "string") throw new Error("no port");
	return {
		host: `127.0.0.1:${address.port}`,
		sick,
		get arrived() {
			return delays.length;
		},
		/** Of the round that ends here. */
		take() {
			const round = { delays, hung };
			delays = [];
			hung = 0;
			return round;
		},
		stop() {
			server.closeAllConnections();
			server.close();
		},
	};
}

/**
 * @param {Edition} edition @param {Options} options @param {Board} board
 * @returns {Promise<import("./frame.mjs").Measuring>}
 */
async function begin(edition, options, board) {
	const row = board.row(edition.name, "booting");
	const there = await receivers();
	const worker = new FakeWorker({ tokens: ["A", " cat"], group: 2 });
	worker.slots = 64;
	const stack = await fakeStack({
		name: "bench-webhooks",
		edition,
		worker,
		vars: {
			EGRESS_ALLOW: there.host,
			WEBHOOK_TIMEOUT_MS: String(options.timeout * 1000),
		},
	});
	const edge = edgeProcesses(stack.edge.daemon.pid).find(
		({ role }) => role === "workerd",
	);
	const numbers = shuffled(options.endpoints, options.seed);
	const ill = numbers.slice(0, Math.round(options.endpoints / 3));
	const well = numbers.slice(ill.length);
	for (const n of ill) there.sick.add(`/${n}`);
	const hook = async (/** @type {number} */ n) => {
		const url = `http://${there.host}/${n}`;
		return (await call(stack, "POST", "/webhooks", { url })).id;
	};
	for (const n of well) await hook(n);
	row.done(`${well.length} webhooks that answer, ${ill.length} that do not`);

	/** @type {Record<"without" | "with", { delays: Delays, hung: number, cpu: number[] }>} */
	const found = {
		without: { delays: [], hung: 0, cpu: [] },
		with: { delays: [], hung: 0, cpu: [] },
	};
	const warm = board.row("warm-up");
	await round(stack, there, { ...options, jobs: 10 }, well.length, -1);
	there.take();
	warm.done("");
	const measure = async (/** @type {number} */ n) => {
		// Each second round the other one begins, so that a drift of the machine favours neither.
		const ways = /** @type {const} */ (["without", "with"]);
		for (const way of n % 2 ? ways.toReversed() : ways) {
			const progress = board.row(`round ${n + 1}, ${way} the sick`);
			const ids = [];
			if (way === "with") for (const each of ill) ids.push(await hook(each));
			const cpu = edge ? cpuSeconds(edge.pid) : Number.NaN;
			await round(stack, there, options, well.length, n);
			found[way].cpu.push(edge ? cpuSeconds(edge.pid) - cpu : Number.NaN);
			const { delays, hung } = there.take();
			found[way].delays.push(...delays);
			found[way].hung += hung;
			for (const id of ids)
				await call(stack, "DELETE", `/webhooks/${id}`).catch(ignoreEmpty);
			progress.done(`p99 ${Math.round(percentile(delays, 0.99))} ms`);
		}
	};
	const told = (/** @type {"without" | "with"} */ way) => {
		const { delays, hung, cpu } = found[way];
		return {
			accepted: delays.length,
			triesThatHung: hung,
			ms: {
				p50: percentile(delays, 0.5),
				p90: percentile(delays, 0.9),
				p99: percentile(delays, 0.99),
				most: Math.max(...delays),
			},
			edgeCpuSeconds: cpu.map((seconds) => Number(seconds.toFixed(1))),
		};
	};
	return {
		round: measure,
		async end() {
			there.stop();
			await stack.edge.stop();
			await stack.stopWorker();
			const result = { without: told("without"), with: told("with") };
			const deliveries = options.jobs * options.rounds * options.endpoints;
			const p99WithByWithout = Number(
				(result.with.ms.p99 / result.without.ms.p99).toFixed(2),
			);
			return { figures: { deliveries, ...result, p99WithByWithout } };
		},
	};
}

/**
 * Jobs at a steady pace, until each webhook that answers has been told of each.
 * @param {import("./fake-stack.mjs").FakeStack} stack
 * @param {Awaited<ReturnType<typeof receivers>>} there
 * @param {Options} options @param {number} well webhooks that answer @param {number} n the round
 */
async function round(stack, there, { jobs, rate, seed }, well, n) {
	/** @type {Promise<unknown>[]} */
	const asked = [];
	const start = performance.now();
	for (let job = 0; job < jobs; job++) {
		await sleep(Math.max(0, start + (job * 1000) / rate - performance.now()));
		const prompt = `Seed ${seed}, round ${n}, job ${job}.`;
		asked.push(call(stack, "POST", "/jobs", { prompt, max_tokens: 2 }));
	}
	await Promise.all(asked);
	const deadline = Date.now() + ARRIVES_WITHIN_MS;
	while (there.arrived < jobs * well) {
		if (Date.now() > deadline)
			throw new Error(`${there.arrived} of ${jobs * well} deliveries arrived`);
		await sleep(50);
	}
}

/** A deletion has no body to read. @param {unknown} error */
function ignoreEmpty(error) {
	if (!(error instanceof SyntaxError)) throw error;
}

/**
 * 0 … n-1 in an order that follows from the seed.
 * @param {number} n @param {number} seed @returns {number[]}
 */
function shuffled(n, seed) {
	let state = seed >>> 0;
	const draw = () => {
		state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
		return state / 2 ** 32;
	};
	const keys = Array.from({ length: n }, (_, each) => ({ each, key: draw() }));
	return keys.sort((a, b) => a.key - b.key).map(({ each }) => each);
}
