// @ts-check
/** What the benches on a fake worker have in common: options, set-up, figures with machine, load and date, and an end of all that was started. */
import { parseArgs } from "node:util";
import { stopAll } from "../../scripts/process.mjs";
import { setUp } from "../../scripts/setup.mjs";
import { Board, red } from "../../scripts/terminal.mjs";
import { loadNow, machine } from "./machine.mjs";

/**
 * @template {Record<string, number>} D
 * @param {string[]} args
 * @param {string} help
 * @param {D} defaults the options, all of them numbers
 * @param {(options: D, board: Board) => Promise<{ figures: object, whole?: boolean }>} measure `whole`: false where what was measured went wrong
 * @returns {Promise<number>} exit code
 */
export async function framed(args, help, defaults, measure) {
	const { values } = parseArgs({
		args,
		options: {
			...Object.fromEntries(
				Object.keys(defaults).map((name) => [
					name,
					/** @type {const} */ ({ type: "string" }),
				]),
			),
			json: { type: "boolean", default: false },
			help: { type: "boolean", default: false },
		},
	});
	if (values.help) {
		process.stdout.write(help);
		return 0;
	}
	/** @type {Record<string, number>} */
	const options = { ...defaults };
	for (const name of Object.keys(defaults)) {
		const text = /** @type {Record<string, unknown>} */ (values)[name];
		if (typeof text !== "string") continue;
		options[name] = Number(text);
		if (text.trim() === "" || !Number.isFinite(options[name])) {
			process.stderr.write(`--${name} ${text}: must be a number\n`);
			return 2;
		}
	}
	const board = new Board(values.json ? process.stderr : process.stdout);
	for (const name of /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"]))
		process.on(name, () => void stopAll().then(() => process.exit(130)));
	try {
		await setUp({ board }).all;
		const before = loadNow();
		const { figures, whole = true } = await measure(
			/** @type {D} */ (options),
			board,
		);
		const all = {
			date: new Date().toISOString(),
			machine: machine(),
			load: { before, after: loadNow() },
			...{ options, ...figures },
		};
		if (values.json) process.stdout.write(`${JSON.stringify(all)}\n`);
		else board.print(`\n${JSON.stringify(all, null, 2)}\n`);
		return whole ? 0 : 1;
	} catch (error) {
		board.print(red(error instanceof Error ? error.message : String(error)));
		return 1;
	} finally {
		await stopAll();
	}
}
