// @ts-check
/**
 * `npm run bench -- readers`: many readers of one job, what each got, and how long after the worker
 * said it.
 */
import { fork } from "node:child_process";
import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { dim } from "../../scripts/terminal.mjs";
import { FakeWorker } from "../support/fake-worker.ts";
import { call, fakeStack, upload } from "./fake-stack.mjs";
import { medianOf } from "./figures.mjs";
import { framed, inTurns } from "./frame.mjs";
import { percentile } from "./load.mjs";
import {
	cpuSeconds,
	edgeProcesses,
	memory,
	waitedSeconds,
} from "./machine.mjs";

/** @typedef {import("../../scripts/terminal.mjs").Board} Board */
/** @typedef {import("./edition.mjs").Edition} Edition */

const HELP = `npm run bench -- readers [options]

  --readers <n>    of one job (2000)
  --late <n>       so many of them join while it streams (100)
  --batches <n>    that the worker sends, ten a second (120)
  --stall <s>      one more reader takes nothing for so long (60); 0: none
  --processes <n>  for the readers (2)
  --rounds <n>     of all that; the figures are their medians (1)
  --seed <n>       draws the words, and when the late ones join (1)
`;
const EVERY_MS = 100;
/** Tokens of a batch; the first one's text ends with the time at which it is sent. */
const BATCH = 4;
const JOIN_AT_ONCE = 50;
const STALLED = -1;

/** @typedef {import("./reader-process.mjs").Report} Report */
/**
 * @typedef {object} Options
 * @property {number} count
 * @property {number} late
 * @property {number} batches
 * @property {number} stall
 * @property {number} processes
 * @property {number} seed
 */

/** Numbers in [0, 1) that follow from the seed. @param {number} seed */
function drawing(seed) {
	let state = seed >>> 0;
	return () => {
		state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
		return state / 2 ** 32;
	};
}

/** @param {string[]} args @returns {Promise<number>} exit code */
export const readers = (args) =>
	framed(
		args,
		HELP,
		{
			readers: 2_000,
			late: 100,
			batches: 120,
			stall: 60,
			processes: 2,
			rounds: 1,
			seed: 1,
		},
		({ readers: count, rounds, ...options }, board, editions) =>
			inTurns(rounds, editions, async (edition) => {
				/** @type {Awaited<ReturnType<typeof measure>>[]} */
				const all = [];
				return {
					round: async () =>
						all.push(await measure(edition, { count, ...options }, board)),
					end: async () => ({
						figures: medianOf(all),
						whole: all.every(
							({ whole, readers, stalled }) =>
								whole === readers && (stalled?.whole ?? true),
						),
					}),
				};
			}),
	);

/**
 * @param {Edition} edition
 * @param {Options} options
 * @param {Board} board
 */
async function measure(
	edition,
	{ count, late, batches, stall, processes, seed },
	board,
) {
	const draw = drawing(seed);
	const tokens = Array.from(
		{ length: batches * BATCH },
		() => ` ${"word".repeat(1 + Math.floor(draw() * 3))}`,
	);
	/** @type {() => void} */
	let go = () => {};
	/** @type {Promise<void>} */
	const started = new Promise((resolve) => {
		go = resolve;
	});
	let next = 0;
	const worker = new FakeWorker({
		tokens,
		group: BATCH,
		// Before each batch: it goes out when it is due, and says when that was.
		gate: async (n) => {
			await started;
			next ||= performance.now();
			const wait = next - performance.now();
			if (wait > 0) await sleep(wait);
			next += EVERY_MS;
			tokens[n] += `@${Date.now()}`;
		},
	});
	const row = board.row(edition.name, "booting");
	const stack = await fakeStack({ name: "bench-readers", edition, worker });
	const image = await upload(stack);
	const { id } = await call(stack, "POST", "/jobs", {
		images: [{ upload: image }],
		prompt: "What is this?",
		max_tokens: tokens.length,
		temperature: 0,
	});
	row.done("ready");
	const servers = edgeProcesses(stack.edge.daemon.pid);
	const cpu = () =>
		servers.map(({ role, pid }) => ({
			role,
			used: cpuSeconds(pid),
			waited: waitedSeconds(pid),
		}));
	const empty = servers.map(({ pid }) => memory(pid).now);

	const joining = board.row("readers", "joining");
	const script = fileURLToPath(new URL("reader-process.mjs", import.meta.url));
	const patience = (stall + batches * (EVERY_MS / 1000) + 120) * 1000;
	/** @type {Report[]} */
	const reports = [];
	let joined = 0;
	const children = Array.from({ length: processes }, () =>
		fork(script, [String(stack.edge.port), id, String(patience)], {
			env: { ...process.env, READER_KEY: stack.key },
		}).on("message", (/** @type {any} */ message) => {
			if (message.report) reports.push(message.report);
			else joined++;
		}),
	);
	const start = (/** @type {number} */ name, stall = 0) =>
		children[Math.abs(name) % processes]?.send([{ name, stall }]);
	const until = async (/** @type {() => boolean} */ there) => {
		for (const end = Date.now() + patience; !there() && Date.now() < end; )
			await sleep(20);
	};

	if (stall > 0) start(STALLED, stall);
	const extra = stall > 0 ? 1 : 0;
	const early = count - late;
	const joinFrom = performance.now();
	for (let n = 0; n < early; n += JOIN_AT_ONCE) {
		for (let m = n; m < Math.min(early, n + JOIN_AT_ONCE); m++) start(m);
		await until(
			() => joined + reports.length >= Math.min(early, n + JOIN_AT_ONCE),
		);
	}
	await until(() => joined + reports.length >= early + extra);
	const joinSeconds = (performance.now() - joinFrom) / 1000;
	joining.done(`${early} in ${joinSeconds.toFixed(1)} s`);

	const before = cpu();
	const streaming = board.row("stream", `${batches} batches`);
	const from = Date.now();
	go();
	const lateOnes = Array.from({ length: late }, async (_, n) => {
		await sleep(draw() * batches * EVERY_MS * 0.9);
		start(early + n);
	});
	await Promise.all(lateOnes);
	const healthy = () => reports.filter(({ name }) => name !== STALLED);
	await until(() => healthy().length >= count);
	const after = cpu();
	const all = healthy();
	streaming.done(`${((Date.now() - from) / 1000).toFixed(1)} s`);
	await until(() => reports.length >= count + extra);
	for (const child of children) child.disconnect();
	const memories = Object.fromEntries(
		servers.map(({ role, pid }, n) => [
			role,
			{ empty: empty[n], ...memory(pid) },
		]),
	);

	const text = tokens.join("");
	const sha256 = createHash("sha256").update(text).digest("hex");
	const isWhole = (/** @type {Report} */ report) =>
		report.wrong === null &&
		report.ordered &&
		report.sha256 === sha256 &&
		report.claimed === sha256;
	// What came before a late reader joined is replayed to it, and says nothing of lag.
	const lags = all.flatMap((report) =>
		report.seen
			.filter(([emitted = 0]) => emitted >= report.joined)
			.map(([emitted = 0, arrived = 0]) => arrived - emitted),
	);
	const emitted = [...text.matchAll(/@(\d{13})/g)].map(([, at]) => Number(at));
	const last = emitted.at(-1) ?? 0;
	const finishes = all.map(({ ended }) => ended - last);
	const stalled = reports.find(({ name }) => name === STALLED);
	const wrongs = all.filter((report) => !isWhole(report));
	for (const report of wrongs.slice(0, 3))
		board.print(
			dim(JSON.stringify({ ...report, seen: report.seen.length, sha256 })),
		);
	await stack.edge.stop();
	await stack.stopWorker();
	return {
		readers: count,
		whole: all.length - wrongs.length,
		batches: {
			sent: batches,
			perSecond: Number(
				((batches - 1) / ((last - (emitted[0] ?? 0)) / 1000)).toFixed(2),
			),
		},
		eventsPerReader: percentile(
			all.map(({ events }) => events),
			0.5,
		),
		joinSeconds: Number(joinSeconds.toFixed(1)),
		lagMs: {
			samples: lags.length,
			p50: percentile(lags, 0.5),
			p99: percentile(lags, 0.99),
			most: percentile(lags, 1),
		},
		finishMsAfterLastBatch: {
			p50: percentile(finishes, 0.5),
			p99: percentile(finishes, 0.99),
			most: percentile(finishes, 1),
		},
		stalled: stalled && {
			seconds: stall,
			whole: isWhole(stalled),
			wrong: stalled.wrong,
		},
		/** While it streamed; `waited`: ready to run while others had the cores. */
		cpuSeconds: Object.fromEntries(
			after.map(({ role, used, waited }, n) => [
				role,
				{
					used: Number((used - (before[n]?.used ?? 0)).toFixed(2)),
					waited: Number((waited - (before[n]?.waited ?? 0)).toFixed(2)),
				},
			]),
		),
		streamSeconds: Number(
			((last - from + percentile(finishes, 1)) / 1000).toFixed(1),
		),
		MiB: memories,
	};
}
