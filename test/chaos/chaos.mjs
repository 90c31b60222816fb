// @ts-check
/**
 * `npm run chaos`: jobs on a stack of its own, while edge, workers, connections and storage die
 * under them at the worst moments. What is planned follows from the seed alone, and each blow falls
 * when a given job is at a given point.
 */
import { parseArgs } from "node:util";
import { stopAll } from "../../scripts/process.mjs";
import { setUp } from "../../scripts/setup.mjs";
import { Board, bold, duration, green, red } from "../../scripts/terminal.mjs";

const HELP = `npm run chaos -- [options]

  --jobs <n>     how many jobs (60)
  --seed <n>     which run (drawn)
  --minutes <n>  after which the callers give up (a minute for every ten jobs, at least six)
  --no-engine    without the round on the real engine
  --json         the figures as JSON at the end
`;

const { values } = parseArgs({
	options: {
		jobs: { type: "string", default: "60" },
		seed: { type: "string" },
		minutes: { type: "string" },
		engine: { type: "boolean", default: true },
		json: { type: "boolean", default: false },
		help: { type: "boolean", default: false },
	},
	allowNegative: true,
});
if (values.help) {
	process.stdout.write(HELP);
	process.exit(0);
}
/** @param {string} name @param {string} text */
function whole(name, text) {
	const n = Number(text);
	if (Number.isInteger(n) && n >= 0) return n;
	process.stderr.write(`--${name} ${text}: must be a whole number\n`);
	process.exit(2);
}
const jobs = whole("jobs", values.jobs);
const seed = values.seed
	? whole("seed", values.seed)
	: Math.floor(Math.random() * 2 ** 31);
const minutes = values.minutes
	? whole("minutes", values.minutes)
	: Math.max(6, Math.ceil(jobs / 10));

const board = new Board();
for (const name of /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"]))
	process.on(name, () => void stopAll().then(() => process.exit(130)));

await setUp({ board, tests: true }).all;
const [{ run }, { runEngine }] = await Promise.all(
	["run", "engine"].map(
		(name) => import(new URL(`${name}.ts`, import.meta.url).href),
	),
);
const row = board.row("chaos", `${jobs} jobs, seed ${seed}`);
const results = [
	await run({
		seed,
		jobs,
		limitMs: minutes * 60_000,
		onProgress: (/** @type {any} */ { ended, blows, doing }) => {
			const filled = Math.round((12 * ended) / jobs);
			const bar = `${"█".repeat(filled)}${"░".repeat(12 - filled)}`;
			row.detail = `${bar} ${ended}/${jobs}, ${blows} blows, ${doing}`;
		},
	}),
];
row.done(`${jobs} jobs, seed ${seed}`);
if (values.engine) {
	const row = board.row("real engine");
	results.push(
		await runEngine({
			seed,
			limitMs: minutes * 60_000,
			onProgress: (/** @type {string} */ doing) => {
				row.detail = doing;
			},
		}),
	);
	row.done("greedy, float32");
}

/** @param {Record<string, number>} counts */
const list = (counts) =>
	Object.entries(counts)
		.map(([name, n]) => `${n} ${name}`)
		.join(", ") || "none";
/** @param {any} result */
function show({ jobs, tally, blows, kills, starts, interrupted, seconds }) {
	const median = [...starts].sort((a, b) => a - b)[starts.length >> 1] ?? 0;
	const { events, resumes, retries, poor } = tally;
	const took = duration(seconds * 1000);
	const again = `${retries} calls made again, ${poor} for want of money`;
	board.print(`
  ${bold("jobs")}       ${jobs}: ${list(tally.ended)}; ${interrupted} attempts interrupted
  ${bold("blows")}      ${list(blows)}
  ${bold("edge died")}  ${list(kills)}
  ${bold("callers")}    ${events} events, ${resumes} streams resumed, ${again}
  ${bold("time")}       ${took}, the edge back after ${duration(median)} (median)`);
}
results.forEach(show);
board.print();
if (values.json) board.print(JSON.stringify(results));
const wrong = results.flatMap((result) => result.wrong);
for (const what of wrong.slice(0, 40)) board.print(red(`  ${what}`));
if (wrong.length > 0) {
	const states = results.flatMap(({ state }) => state ?? []);
	board.print(
		`\n  Data and logs: ${states.join(", ")}\n` +
			`  Again: ${bold(`npm run chaos -- --jobs ${jobs} --seed ${seed}`)}`,
	);
} else board.print(green(`  Every invariant holds (seed ${seed}).`));
await stopAll();
process.exit(wrong.length > 0 ? 1 : 0);
