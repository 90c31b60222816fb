// @ts-check
/**
 * `npm run bench -- admissions`: jobs created through the edge, in a small account and in a large
 * one, and what a job costs.
 */

import { setTimeout as sleep } from "node:timers/promises";
import { ulid } from "ulid";
import { FakeWorker } from "../support/fake-worker.ts";
import { call, ended, fakeStack, upload } from "./fake-stack.mjs";
import { median, rounded } from "./figures.mjs";
import { framed, inTurns } from "./frame.mjs";
import { percentile } from "./load.mjs";
import { cpuSeconds, edgeProcesses } from "./machine.mjs";

/** @typedef {import("../../scripts/terminal.mjs").Board} Board */
/** @typedef {import("./edition.mjs").Edition} Edition */

const HELP = `npm run bench -- admissions [options]

  --jobs <n>         created in each round (150)
  --rounds <n>       of each way and account, taking turns (3)
  --concurrency <n>  calls under way at once (16)
  --large <n>        jobs that the large account has before (100000)
  --seed <n>         is in the prompts (1)
`;

/**
 * Cloudflare's prices for Durable Objects with SQLite storage, in US dollars, Workers Paid plan,
 * without deducting what the plan includes:
 * https://developers.cloudflare.com/durable-objects/platform/pricing, from a stored copy, November
 * 2026. An alarm that is set counts as a row written, a call or an alarm that rings as a request,
 * and each object is billed as 128 MB.
 */
const PRICES = {
	perRowRead: 0.001e-6,
	perRowWritten: 1e-6,
	perRequest: 0.15e-6,
	perGBSecond: 12.5e-6,
};
const OBJECT_GB = 0.128;

const ENTRY = "test/support/counted-edge.ts";
/** Jobs on a page of the list. */
const PAGE = 20;
/** A short answer: what is measured is the edge. */
const TOKENS = 16;

/** @typedef {import("./fake-stack.mjs").FakeStack} Stack */
/**
 * An account's key, and an image of its own.
 * @typedef {{ edge: Stack["edge"], key: string, image: string }} Caller
 */
/**
 * @typedef {object} Used
 * @property {number} requests
 * @property {number} rowsRead
 * @property {number} rowsWritten
 * @property {number} objectSeconds
 */
/**
 * `admit`: POST while the worker says nothing, which leaves out what the edge does for an answer.
 * @typedef {typeof WAYS[number]} Way
 */

const WAYS = /** @type {const} */ (["admit", "POST", "PUT", "list"]);
/**
 * @typedef {object} Round
 * @property {number} perSecond
 * @property {number} perEdgeCpuSecond
 * @property {number} perCpuSecond
 * @property {number[]} ms
 */

/** @param {string[]} args @returns {Promise<number>} exit code */
export const admissions = (args) =>
	framed(
		args,
		HELP,
		{ jobs: 150, rounds: 3, concurrency: 16, large: 100_000, seed: 1 },
		(options, board, editions) =>
			inTurns(options.rounds, editions, (edition) =>
				begin(edition, options, board),
			),
	);

/** @param {() => Promise<void> | undefined} [gate] awaited before an answer's first token */
const newWorker = (gate = () => undefined) => {
	const worker = new FakeWorker({
		gate,
		tokens: Array.from({ length: TOKENS }, (_, n) => ` word${n}`),
		group: TOKENS,
	});
	worker.slots = 64;
	return worker;
};

/**
 * @typedef {object} Options
 * @property {number} jobs
 * @property {number} rounds
 * @property {number} concurrency
 * @property {number} large
 * @property {number} seed
 */

/**
 * @param {Edition} edition
 * @param {Options} options
 * @param {Board} board @returns {Promise<import("./frame.mjs").Measuring>}
 */
async function begin(edition, options, board) {
	const row = board.row(edition.name, "booting");
	/** @type {Promise<void> | undefined} */
	let held;
	const worker = newWorker(() => held);
	const stack = await fakeStack({
		name: "bench-admissions",
		edition,
		worker,
		entry: ENTRY,
	});
	const { edge } = stack;
	const servers = edgeProcesses(edge.daemon.pid);
	const ofRole = (/** @type {"workerd" | "node"} */ role) =>
		servers
			.filter((server) => server.role === role)
			.reduce((sum, { pid }) => sum + cpuSeconds(pid), 0);
	/** @type {Record<"one" | "many", Caller>} */
	const callers = {
		// As many as a page has, so that both lists show as much.
		one: await newCaller(stack, PAGE),
		many: await newCaller(stack, options.large),
	};
	row.done(`${options.large} jobs in the large account`);

	/** @type {Record<string, Round[]>} */
	const rounds = {};
	const sizes = /** @type {(keyof typeof callers)[]} */ (["one", "many"]);
	const measure = async (/** @type {number} */ round) => {
		const progress = board.row(
			round < 0 ? "warm-up" : `round ${round + 1}`,
			edition.name,
		);
		// Each second round the other account begins, so that a drift of the machine favours neither.
		for (const way of WAYS)
			for (const size of round % 2 ? sizes.toReversed() : sizes) {
				// A small account stays small: its jobs are one round's. A few go first, as in the large
				// one.
				const fresh = size === "one" && way !== "list";
				const caller = fresh ? await newCaller(stack) : callers[size];
				if (fresh) {
					await calls(caller, "POST", { ...options, jobs: 16 }, -2);
					await ended(caller);
				}
				const before = { workerd: ofRole("workerd"), node: ofRole("node") };
				let release = () => {};
				if (way === "admit")
					held = new Promise((resolve) => {
						release = resolve;
					});
				const { ms, seconds } = await calls(caller, way, options, round);
				if (way === "POST" || way === "PUT") await ended(caller);
				const used = {
					workerd: ofRole("workerd") - before.workerd,
					node: ofRole("node") - before.node,
				};
				held = undefined;
				release();
				if (way === "admit") await ended(caller);
				if (round < 0) continue;
				rounds[`${way} ${size}`] ??= [];
				rounds[`${way} ${size}`]?.push({
					perSecond: options.jobs / seconds,
					perEdgeCpuSecond: options.jobs / used.workerd,
					perCpuSecond: options.jobs / (used.workerd + used.node),
					ms,
				});
			}
		progress.done();
	};
	await measure(-1);
	return {
		round: measure,
		async end() {
			await edge.stop();
			await stack.stopWorker();
			const speed = speedOf(rounds);
			const costs = await measureCosts(edition, options, board);
			return { figures: { speed, costs } };
		},
	};
}

/** @param {Record<string, Round[]>} rounds of each way and account */
function speedOf(rounds) {
	const cells = Object.fromEntries(
		Object.entries(rounds).map(([name, all]) => [
			name,
			{
				msP50: median(all.map(({ ms }) => percentile(ms, 0.5))),
				msP50Best: Math.min(...all.map(({ ms }) => percentile(ms, 0.5))),
				msP99: median(all.map(({ ms }) => percentile(ms, 0.99))),
				msP99Best: Math.min(...all.map(({ ms }) => percentile(ms, 0.99))),
				perSecond: median(all.map((round) => round.perSecond)),
				perSecondBest: Math.max(...all.map((round) => round.perSecond)),
				perEdgeCpuSecond: median(all.map((round) => round.perEdgeCpuSecond)),
				perEdgeCpuSecondBest: Math.max(
					...all.map((round) => round.perEdgeCpuSecond),
				),
				perCpuSecond: median(all.map((round) => round.perCpuSecond)),
			},
		]),
	);
	const ratios = Object.fromEntries(
		WAYS.map((way) => {
			const [one, many] = [cells[`${way} one`], cells[`${way} many`]];
			if (!one || !many) throw new Error(`${way} was not measured`);
			return [
				way,
				{
					msP50: many.msP50 / one.msP50,
					msP50Best: many.msP50Best / one.msP50Best,
					cpu: one.perEdgeCpuSecond / many.perEdgeCpuSecond,
					cpuBest: one.perEdgeCpuSecondBest / many.perEdgeCpuSecondBest,
				},
			];
		}),
	);
	return { cells: rounded(cells), manyByOne: rounded(ratios) };
}

/**
 * @param {Edition} edition @param {{ concurrency: number, seed: number, jobs: number }} options
 * @param {Board} board
 */
async function measureCosts(edition, { seed, concurrency, jobs }, board) {
	const row = board.row("costs", "booting");
	const stack = await fakeStack({
		name: "bench-admissions",
		edition,
		worker: newWorker(),
		entry: ENTRY,
		vars: { BENCH_COSTS: "1" },
	});
	const caller = await newCaller(stack);
	/** @returns {Promise<Record<string, Used>>} */
	const counted = async () =>
		/** @type {any} */ (
			await (await fetch(`${stack.edge.url}/bench/costs`)).json()
		);
	const options = { seed, concurrency: Math.min(4, concurrency), jobs };
	await calls(caller, "POST", { ...options, jobs: 8 }, -1);
	await ended(caller);
	await sleep(2_000);
	const before = await counted();
	await calls(caller, "POST", options, 0);
	await ended(caller);
	await sleep(2_000); // what follows a job's last event
	const after = await counted();

	// A job's object is at work from its creation to its end, whoever calls it meanwhile.
	const { data } = await call(caller, "GET", "/jobs?limit=50");
	/** @type {number[]} */
	const lives = [];
	for (const { id } of data) {
		const job = await call(caller, "GET", `/jobs/${id}`);
		lives.push(Date.parse(job.finished_at) - Date.parse(job.created_at));
	}
	const life = lives.reduce((sum, ms) => sum + ms, 0) / lives.length / 1000;
	row.done(`${jobs} jobs`);
	await stack.edge.stop();
	await stack.stopWorker();

	const perJob = Object.fromEntries(
		Object.entries(after).map(([name, now]) => {
			const was = before[name];
			const each = (/** @type {keyof Used} */ what) =>
				(now[what] - (was?.[what] ?? 0)) / jobs;
			const used = {
				requests: each("requests"),
				rowsRead: each("rowsRead"),
				rowsWritten: each("rowsWritten"),
				objectSeconds: name === "Job" ? life : each("objectSeconds"),
			};
			return [name, { ...used, microUsd: microUsd(used) }];
		}),
	);
	const all = sum(Object.values(perJob));
	return rounded({
		concurrency: options.concurrency,
		perJob,
		all: { ...all, microUsd: microUsd(all) },
		microUsdOf: {
			rowsRead: all.rowsRead * PRICES.perRowRead * 1e6,
			rowsWritten: all.rowsWritten * PRICES.perRowWritten * 1e6,
			requests: all.requests * PRICES.perRequest * 1e6,
			duration: all.objectSeconds * OBJECT_GB * PRICES.perGBSecond * 1e6,
		},
	});
}

/** @param {Used} used in millionths of a dollar */
const microUsd = ({ rowsRead, rowsWritten, requests, objectSeconds }) =>
	(rowsRead * PRICES.perRowRead +
		rowsWritten * PRICES.perRowWritten +
		requests * PRICES.perRequest +
		objectSeconds * OBJECT_GB * PRICES.perGBSecond) *
	1e6;

/** @param {Used[]} parts @returns {Used} */
const sum = (parts) => {
	const total = (/** @type {keyof Used} */ what) =>
		parts.reduce((all, part) => all + part[what], 0);
	return {
		requests: total("requests"),
		rowsRead: total("rowsRead"),
		rowsWritten: total("rowsWritten"),
		objectSeconds: total("objectSeconds"),
	};
};

/**
 * @param {Stack} stack @param {number} [filled] jobs that it has already
 * @returns {Promise<Caller>}
 */
async function newCaller({ edge, adminSecret }, filled = 0) {
	/** @param {string} path @param {unknown} [body] */
	const post = async (path, body) => {
		const answer = await fetch(`${edge.url}${path}`, {
			method: "POST",
			headers: {
				Authorization: `Bearer ${adminSecret}`,
				"Content-Type": "application/json",
			},
			...(body === undefined ? {} : { body: JSON.stringify(body) }),
		});
		if (!answer.ok) throw new Error(`${path}: ${await answer.text()}`);
		return answer.status === 204 ? null : answer.json();
	};
	const { id } = await post("/admin/accounts", { name: "bench" });
	await post(`/admin/accounts/${id}/credits`, {
		id: "bench",
		amount: 1_000_000_000,
	});
	const { key } = await post(`/admin/accounts/${id}/keys`, { name: "bench" });
	if (filled > 0) await post(`/bench/jobs?account=${id}&count=${filled}`);
	const caller = { edge, key };
	const image = await upload(caller);
	const job = { images: [{ upload: image }], prompt: "The first one." };
	await call(caller, "POST", "/jobs", job);
	return { ...caller, image };
}

/**
 * So many calls, a few at once.
 * @param {Caller} caller @param {Way} way
 * @param {{ jobs: number, concurrency: number, seed: number }} options
 * @param {number} round
 */
async function calls(caller, way, { jobs, concurrency, seed }, round) {
	/** @type {number[]} */
	const ms = [];
	let next = 0;
	const from = performance.now();
	await Promise.all(
		Array.from({ length: concurrency }, async () => {
			while (next < jobs) {
				const n = next++;
				const body = {
					images: [{ upload: caller.image }],
					prompt: `Seed ${seed}, round ${round}, job ${n}.`,
					max_tokens: TOKENS,
				};
				const started = performance.now();
				if (way === "list") await call(caller, "GET", `/jobs?limit=${PAGE}`);
				else if (way === "PUT")
					await call(caller, way, `/jobs/${ulid()}`, body);
				else await call(caller, "POST", "/jobs", body);
				ms.push(performance.now() - started);
			}
		}),
	);
	return { ms, seconds: (performance.now() - from) / 1000 };
}
