// @ts-check
/**
 * Fetches everything a fresh machine lacks, side by side; what is fresh is skipped. `npm run setup`
 * does only this.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { tryLock, unlock } from "./lock.mjs";
import { state } from "./paths.mjs";
import { rotate } from "./process.mjs";
import { apiReferenceScript } from "./setup/api-reference.mjs";
import { charts } from "./setup/charts.mjs";
import { findChromium, installChromium } from "./setup/chromium.mjs";
import { goClient, pythonClients, sdkTestPackages } from "./setup/clients.mjs";
import { stripeMock, versitygw } from "./setup/go-tools.mjs";
import { nodePackages } from "./setup/node-packages.mjs";
import { pagePhotos } from "./setup/page-photos.mjs";
import {
	pythonPackagesAndTools,
	pythonPackagesFor,
} from "./setup/python-packages.mjs";
import { isFresh, perform } from "./setup/step.mjs";
import { uvItself } from "./setup/uv.mjs";
import { weightsOf } from "./setup/weights.mjs";
import { workerBundle } from "./setup/worker-bundle.mjs";
import { Board } from "./terminal.mjs";

/**
 * Starts every step at once, or as soon as what it builds on is there. Each promise resolves when
 * its part is usable, so a caller can start what it has. The first failure aborts the rest.
 * @param {object} options
 * @param {Board} options.board
 * @param {boolean} [options.tests]
 * @param {import("./serving.mjs").Embedded} [options.model]
 * @param {AbortSignal | undefined} [options.signal]
 */
export function setUp({ board, tests = false, model = "nano", signal }) {
	mkdirSync(state, { recursive: true });
	const failed = new AbortController();
	const stop = signal
		? AbortSignal.any([signal, failed.signal])
		: failed.signal;
	const started = Date.now();

	/**
	 * @param {string} name
	 * @param {(context: import("./setup/step.mjs").Context) => Promise<void>} work
	 */
	async function shown(name, work) {
		stop.throwIfAborted();
		const row = board.row(name);
		const log = join(state, "log", `setup-${name.replaceAll(" ", "-")}.log`);
		try {
			rotate(log);
			await work({
				log,
				signal: stop,
				onLine: (line) => (row.detail = line.trim() || row.detail),
			});
			row.done("");
		} catch (error) {
			if (stop.aborted) row.drop();
			else row.fail("");
			failed.abort(error); // the first reason stays
			throw stop.reason;
		}
	}
	// Two set-ups of one checkout would pull the folders from under each other.
	const lock = join(state, "setup.lock");
	const turn = (async () => {
		let owner = tryLock(lock);
		if (!owner) return;
		const row = board.row(
			"set-up",
			`waiting for another one, process ${owner}`,
		);
		for (; owner; owner = tryLock(lock))
			await sleep(200, undefined, { signal: stop });
		row.drop();
	})();

	/** @param {import("./setup/step.mjs").Step} step */
	const ensure = async (step) => {
		await turn;
		if (!isFresh(step))
			await shown(step.name, (context) => perform(step, context));
	};

	const edge = Promise.all([
		ensure(nodePackages).then(() =>
			Promise.all([ensure(workerBundle), ensure(charts)]),
		),
		ensure(apiReferenceScript),
		ensure(pagePhotos),
	]);
	/** @type {Promise<void> | undefined} */
	let installer;
	/** @param {import("./setup/step.mjs").Step} step */
	const ensureByUv = async (step) => {
		installer ??= ensure(uvItself);
		await installer;
		await ensure(step);
	};
	const environment = (async () => {
		await turn;
		const needed = tests ? pythonPackagesAndTools : pythonPackagesFor(model);
		const hasMore = model === "nano" && isFresh(pythonPackagesAndTools);
		if (hasMore || isFresh(needed)) return;
		await ensureByUv(needed);
	})();
	const others = (async () => {
		await turn;
		if (!tests) return;
		await Promise.all([
			ensure(versitygw),
			ensure(stripeMock),
			ensure(goClient),
			ensure(sdkTestPackages),
			!isFresh(pythonClients) && ensureByUv(pythonClients),
		]);
	})();
	const weights = environment.then(() => ensure(weightsOf(model)));
	const browser = (async () => {
		if (tests && !findChromium()) await shown("Chromium", installChromium);
	})();

	const parts = { edge, environment, others, weights, browser };
	// Waits for what it aborted, so that a failure leaves nothing running.
	const all = Promise.allSettled(Object.values(parts)).then(() => {
		unlock(lock);
		stop.throwIfAborted();
		return Date.now() - started;
	});
	// Whoever needs a part awaits it.
	for (const part of [...Object.values(parts), all]) part.catch(() => {});
	return { ...parts, all };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
	const board = new Board();
	const tests = process.argv.includes("--tests");
	const interrupt = new AbortController();
	for (const name of /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"])) {
		process.once(name, () => interrupt.abort(new Error("Interrupted.")));
	}
	const { all } = setUp({ board, tests, signal: interrupt.signal });
	try {
		await all;
		board.print("  Everything is here.");
	} catch (error) {
		board.print(`\n${error instanceof Error ? error.message : error}`);
		process.exitCode = 1;
	}
}
