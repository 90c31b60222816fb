// @ts-check
/**
 * `npm run simulate`: long days of a real Pool object under a virtual clock, and how its quotes,
 * its fairness and its load figure did. test/simulation/world.ts is the world; the same seed plays
 * the same day.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { parseArgs } from "node:util";
import * as paths from "../../scripts/paths.mjs";
import { findChromium } from "../../scripts/setup/chromium.mjs";
import { bold, dim, duration, green, red } from "../../scripts/terminal.mjs";
import { plot } from "./plot.mjs";

/** @typedef {import("./report.ts").Played} Played */

const HELP = `npm run simulate -- [options]

  --seeds <list>  days to play (1,2,3)
  --jobs <n>      jobs of a day (12000)
  --plot <file>   draws them as PNG
  --json          the figures as JSON, and nothing else
`;
const { values: options } = parseArgs({
	options: {
		seeds: { type: "string", default: "1,2,3" },
		jobs: { type: "string", default: "12000" },
		plot: { type: "string" },
		json: { type: "boolean", default: false },
		help: { type: "boolean", default: false },
	},
});

/** @returns {Promise<Played[]>} */
async function play() {
	const { startVitest } = await import("vitest/node");
	const vitest = await startVitest("test", [], {
		root: paths.root,
		config: "test/simulation/vitest.config.ts",
		watch: false,
		reporters: [{}],
		provide: {
			seeds: options.seeds.split(",").map(Number),
			jobs: Number(options.jobs),
		},
	});
	const tests = vitest.state
		.getTestModules()
		.flatMap((module) => [...module.children.allTests()]);
	const errors = vitest.state
		.getTestModules()
		.flatMap((module) => [
			...module.errors(),
			...tests.flatMap((test) => test.result().errors ?? []),
		]);
	await vitest.close();
	if (errors.length > 0) throw new Error(errors[0]?.message);
	return tests.flatMap((test) => {
		const { played } = /** @type {{ played?: Played }} */ (test.meta());
		return played ? [played] : [];
	});
}

/** @param {string} svg @param {string} file */
async function draw(svg, file) {
	const { chromium } = await import("playwright-core");
	const executablePath = findChromium();
	if (!executablePath)
		throw new Error("There is no Chromium; CHROMIUM=/path names one.");
	const browser = await chromium.launch({
		executablePath,
		args: ["--no-sandbox"],
	});
	try {
		const page = await browser.newPage();
		await page.setContent(`<body style="margin: 0">${svg}</body>`);
		mkdirSync(dirname(file), { recursive: true });
		writeFileSync(file, await page.locator("svg").screenshot());
	} finally {
		await browser.close();
	}
}

/** @param {Played} played */
function lines({ report }) {
	const percent = (/** @type {number} */ share) =>
		`${(share * 100).toFixed(1)} %`;
	const kept = (
		/** @type {typeof report.start} */ { underP50, underP90, jobs },
	) =>
		`${percent(underP90).padStart(7)} by the p90, ` +
		`${percent(underP50).padStart(7)} by the p50, of ${jobs}`;
	const within = report.start.underP90 >= 0.85 && report.start.underP90 <= 0.95;
	const mark = within && report.wrongs.length === 0 ? green("✓") : red("✗");
	const s = (/** @type {number} */ ms) => duration(ms);
	const { first, jobs, median, signal } = report;
	return [
		`${mark} ${bold(`seed ${report.seed}`)}  ${jobs} jobs in ${report.hours.toFixed(1)} h, ` +
			`slots ${percent(report.utilisation)} busy, ${report.coldStarts} cold starts`,
		`    starts         ${kept(report.start)}`,
		`      cold         ${kept(report.cold)}`,
		`      heavy        ${kept(report.heavy)}`,
		`      light        ${kept(report.light)}`,
		`    ends           ${kept(report.finish)}`,
		`    in the median  waited ${s(median.wait)}, ` +
			`quoted ${s(median.p50)} (p50), ${s(median.p90)} (p90)`,
		`    first jobs     of light accounts, ${first.jobs}: ` +
			`one other account got ${first.byOne} slot before at most, all others ${first.byAll}; ` +
			`waited ${s(first.medianWait)} in the median`,
		`    load           ${signal.burst.toFixed(0)} s per slot in bursts, ` +
			`${signal.calm.toFixed(0)} s in between; ` +
			`no worker at all ${percent(signal.none)} of the time`,
		...report.wrongs.map((wrong) => red(`    ${wrong}`)),
	].join("\n");
}

if (options.help) {
	process.stdout.write(HELP);
	process.exit(0);
}
const began = Date.now();
const days = await play();
const { json } = options;
if (json)
	process.stdout.write(
		`${JSON.stringify(
			days.map(({ report }) => report),
			null,
			"\t",
		)}\n`,
	);
else process.stdout.write(`${days.map(lines).join("\n\n")}\n`);
if (options.plot) await draw(plot(days), options.plot);
if (!json) process.stdout.write(dim(`${duration(Date.now() - began)}\n`));
const wrong = days.some(({ report }) => report.wrongs.length > 0);
process.exit(wrong || days.length === 0 ? 1 : 0);
