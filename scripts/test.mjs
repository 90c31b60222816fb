// @ts-check
/**
 * `npm test`: set-up, then every check; `npm test -- unit e2e` runs only those stages. Two lanes
 * take the stages in their order, as a stage alone does not keep two cores busy. One engine serves
 * the whole run and boots while the first stages work. The last line is the sum over all runners.
 */
import { mkdirSync, rmSync } from "node:fs";
import { delimiter, join } from "node:path";
import * as paths from "./paths.mjs";
import { freePort } from "./ports.mjs";
import { CommandFailed, launch, rotate, stopAll } from "./process.mjs";
import { readJunit, readVitest } from "./reports.mjs";
import { secretsOf } from "./secrets.mjs";
import { findChromium } from "./setup/chromium.mjs";
import { setUp } from "./setup.mjs";
import { startS3, startWorker } from "./stack.mjs";
import {
	Board,
	bold,
	colored,
	dim,
	duration,
	green,
	red,
	yellow,
} from "./terminal.mjs";

/** @typedef {import("./reports.mjs").Count} Count */
/**
 * @typedef {object} Stage
 * @property {string} name what picks it on the command line
 * @property {string} title
 * @property {string} cwd
 * @property {[string, ...string[]]} command
 * @property {boolean} [engine] whether it asks the engine
 * @property {boolean} [first] whether it ends before any other stage begins
 * @property {() => Count | undefined} [report] without one, the command as a whole is one check
 */
/** @typedef {Count & { title: string, ms: number }} Result */

const STAGE_LIMIT_MS = 30 * 60_000;
const state = join(paths.state, "test");
const reports = join(state, "reports");
/** @param {string} tool */
const bin = (tool) => join(paths.root, "node_modules", ".bin", tool);
/** @param {string} tool */
const python = (tool) => join(paths.venv, "bin", tool);

/**
 * @param {string} name @param {string} title @param {string} tool @param {...string} args
 * @returns {Stage}
 */
const inRoot = (name, title, tool, ...args) => ({
	name,
	title,
	cwd: paths.root,
	command: [bin(tool), ...args],
});
/** @param {string} title @param {string} project @returns {Stage} */
const types = (title, project) => inRoot("types", title, "tsc", "-p", project);
/**
 * @param {string} name @param {string} title @param {string} config
 * @param {...string} which options that pick some of its tests
 * @returns {Stage}
 */
function vitest(name, title, config, ...which) {
	const file = join(reports, `${title.replaceAll(/\W+/g, "-")}.json`);
	const options = [
		...which,
		"--silent=passed-only",
		"--reporter=default",
		"--reporter=json",
		`--outputFile.json=${file}`,
	];
	return {
		...inRoot(name, title, "vitest", "run", "--config", config, ...options),
		report: () => readVitest(file),
	};
}
/** @param {string} title @param {...string} which @returns {Stage} */
const endToEnd = (title, ...which) => ({
	...vitest("e2e", title, "test/e2e/vitest.config.ts", ...which),
	engine: true,
});
const junit = join(reports, "pytest.xml");

/** @type {Stage[]} in order: long ones before short ones, so that both lanes end together */
const stages = [
	inRoot(
		"lint",
		"format and lint (TypeScript)",
		"biome",
		"check",
		"--error-on-warnings",
		".",
	),
	inRoot("lint", "line lengths", "node", "scripts/check-lines.mjs"),
	// Writes the wire's types, which other stages may name, and what the SDK's tests load.
	{
		...inRoot("types", "build (SDK)", "node", "sdk/scripts/build.mjs"),
		first: true,
	},
	types("types (SDK)", "sdk"),
	types("types (SDK core)", "sdk/tsconfig.core.json"),
	types("types (edge)", "."),
	types("types (scripts, benches)", "scripts"),
	types("types (playground)", "src/playground"),
	types("types (end to end)", "test/e2e"),
	types("types (chaos)", "test/chaos"),
	{
		name: "lint",
		title: "lint (Python)",
		cwd: paths.gpuWorker,
		command: [python("ruff"), "check"],
	},
	{
		name: "lint",
		title: "format (Python)",
		cwd: paths.gpuWorker,
		command: [python("ruff"), "format", "--check"],
	},
	vitest("unit", "unit, in workerd", "test/vitest.config.ts"),
	{
		name: "pytest",
		title: "GPU worker (pytest)",
		cwd: paths.gpuWorker,
		command: [
			python("python"),
			"-m",
			"pytest",
			"-q",
			"--durations=5",
			`--junitxml=${junit}`,
		],
		engine: true,
		report: () => readJunit(junit),
	},
	endToEnd("end to end, 1 of 2", "--project", "working", "--shard", "1/2"),
	endToEnd("end to end, 2 of 2", "--project", "working", "--shard", "2/2"),
	{ ...vitest("chaos", "chaos", "test/chaos/vitest.config.ts"), engine: true },
	endToEnd("end to end, waiting", "--project", "waiting"),
	vitest("sdk", "SDK", "sdk/vitest.config.ts"),
];

/** @param {string[]} wanted names of stages, none for all */
function pick(wanted) {
	const names = [...new Set(stages.map((stage) => stage.name))];
	const unknown = wanted.filter((name) => !names.includes(name));
	if (unknown.length > 0)
		throw new Error(
			`No stage is called ${unknown.join(", ")}. There are: ${names.join(", ")}`,
		);
	return stages.filter(
		({ name }) => wanted.length === 0 || wanted.includes(name),
	);
}

/** @param {string} text */
const heading = (text) =>
	`\n${bold(`── ${text} ${"─".repeat(Math.max(3, 72 - text.length))}`)}`;

/**
 * @param {Stage} stage @param {Record<string, string | undefined>} env
 * @returns {Promise<Count>}
 */
async function runStage(stage, env) {
	const [command, ...args] = stage.command;
	const log = join(state, "log", `${stage.title.replaceAll(/\W+/g, "-")}.log`);
	rotate(log);
	/** @type {import("./process.mjs").Exit & { problem?: string }} */
	let exit;
	try {
		const daemon = await launch(command, args, {
			cwd: stage.cwd,
			env,
			log,
			onLine: (line) =>
				board.print(stage.first ? line : `${dim(`${stage.name} │`)} ${line}`),
		});
		const limit = setTimeout(() => void daemon.kill(), STAGE_LIMIT_MS);
		exit = await daemon.exited;
		clearTimeout(limit);
	} catch (error) {
		exit = { code: null, signal: null, problem: String(error) };
	}
	if (!stage.report)
		return {
			passed: exit.code === 0 ? 1 : 0,
			failed: exit.code === 0 ? 0 : 1,
			skipped: 0,
		};
	const count = stage.report();
	const how = exit.problem ?? exit.signal ?? `exit ${exit.code}`;
	if (!count) {
		board.print(red(`${stage.title}: no report (${how})`));
		return { passed: 0, failed: 1, skipped: 0 };
	}
	if (count.passed + count.failed + count.skipped === 0) {
		board.print(red(`${stage.title}: it ran no test (${how})`));
		return { ...count, failed: 1 };
	}
	if (exit.code !== 0 && count.failed === 0) {
		board.print(red(`${stage.title}: its tests passed, it did not (${how})`));
		return { ...count, failed: 1 };
	}
	return count;
}

/**
 * The bucket, the engine and the bundled Worker that the stages share, and how they are told.
 * @returns {Promise<{ env: Record<string, string>, ready: Promise<void> }>}
 */
async function startShared() {
	const secrets = secretsOf(state);
	const s3 = await startS3({
		port: await freePort(),
		state,
		secrets,
		origins: ["http://127.0.0.1:*"], // each edge's page
	});
	const row = board.row("engine", "nano on the CPU, booting");
	const worker = await startWorker({
		port: await freePort(),
		state,
		secrets,
		imagesFrom: [s3.url],
	});
	worker.ready.then(
		() => row.done("ready"),
		() => row.fail("did not start"),
	);
	return {
		ready: worker.ready,
		env: {
			MINIGPT4_WORKER_URL: worker.url,
			MINIGPT4_WORKER_KEY: secrets.workerKey,
			MINIGPT4_CHECKPOINT: paths.nano,
			MINIGPT4_BUNDLE: paths.bundle,
			MINIGPT4_S3_URL: s3.url,
			MINIGPT4_S3_ACCESS_KEY: secrets.s3AccessKey,
			MINIGPT4_S3_SECRET_KEY: secrets.s3SecretKey,
		},
	};
}

/** @param {Result[]} results */
function table(results) {
	const lines = results.map(({ title, ms, passed, failed, skipped }) => {
		const counts = [
			failed ? red(`${failed} failed`) : "",
			skipped ? yellow(`${skipped} skipped`) : "",
			passed ? `${passed} passed` : "",
		].filter(Boolean);
		const mark = failed ? red("✗") : green("✓");
		const took = duration(ms).padStart(12);
		return `  ${mark} ${title.padEnd(32)} ${took}   ${counts.join(", ")}`;
	});
	const failures = results.flatMap(({ failures = [] }) => failures);
	const took = duration(Date.now() - began).padStart(12);
	return [
		heading("result"),
		...lines,
		dim(`    ${"in all".padEnd(32)} ${took}`),
		"",
		...failures.map((what) => red(`  ${what}`)),
		...(failures.length > 0 ? [""] : []),
	].join("\n");
}

const board = new Board();
const interrupt = new AbortController();
for (const name of /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"])) {
	process.on(name, () => {
		interrupt.abort(new Error("Interrupted."));
		void stopAll({ grace: 3000 }).then(() => process.exit(130));
	});
}

/** @returns {Promise<Result[]>} */
async function main() {
	const wanted = pick(process.argv.slice(2));
	rmSync(state, { recursive: true, force: true }); // a run starts from nothing
	mkdirSync(reports, { recursive: true });
	/** @type {Result[]} */
	const results = [];
	const setUpMs = await setUp({ board, tests: true, signal: interrupt.signal })
		.all;
	results.push({
		title: "set-up",
		ms: setUpMs,
		passed: 0,
		failed: 0,
		skipped: 0,
	});

	const shared = wanted.some((stage) => stage.engine)
		? await startShared()
		: undefined;
	const env = {
		PATH: `${join(paths.root, "node_modules", ".bin")}${delimiter}${process.env.PATH}`,
		CHROMIUM: findChromium() ?? "",
		WRANGLER_SEND_METRICS: "false",
		...(colored
			? { FORCE_COLOR: "1" }
			: { NO_COLOR: "1", FORCE_COLOR: undefined }),
		...shared?.env,
	};
	/** @type {Promise<void> | undefined} */
	let engine;
	/** @param {Stage[]} queue which other lanes take from too */
	const runLane = async (queue) => {
		for (let stage = queue.shift(); stage; stage = queue.shift()) {
			interrupt.signal.throwIfAborted();
			if (stage.engine && shared) {
				engine ??= waitFor(shared.ready).then((result) => {
					results.push(result);
				});
				await engine;
			}
			board.print(heading(stage.title));
			const from = Date.now();
			const count = await runStage(stage, env);
			results.push({ title: stage.title, ms: Date.now() - from, ...count });
		}
	};
	await runLane(wanted.filter(({ first }) => first));
	const queue = wanted.filter(({ first }) => !first);
	await Promise.all([runLane(queue), runLane(queue)]);
	const titles = ["set-up", "engine", ...stages.map(({ title }) => title)];
	const place = (/** @type {Result} */ { title }) => titles.indexOf(title);
	return results.sort((a, b) => place(a) - place(b));
}

/**
 * @param {Promise<unknown>} engine
 * @returns {Promise<Result>}
 */
async function waitFor(engine) {
	const from = Date.now();
	let failed = 0;
	try {
		await engine;
	} catch (error) {
		failed = 1;
		board.print(
			red(error instanceof CommandFailed ? error.message : String(error)),
		);
	}
	const ms = Date.now() - from;
	return { title: "engine", ms, passed: 0, failed, skipped: 0 };
}

const began = Date.now();
/** @type {Count} */
const sum = { passed: 0, failed: 0, skipped: 0 };
try {
	const results = await main();
	await stopAll();
	for (const key of /** @type {const} */ (["passed", "failed", "skipped"])) {
		for (const result of results) sum[key] += result[key];
	}
	board.print(table(results));
} catch (error) {
	await stopAll();
	board.print(
		`\n${red(error instanceof Error ? error.message : String(error))}\n`,
	);
	sum.failed++;
}
board.print(
	`${sum.passed} passed, ${sum.failed} failed, ${sum.skipped} skipped`,
);
process.exit(sum.failed > 0 ? 1 : 0);
