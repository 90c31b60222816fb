// @ts-check
/**
 * What the benches on a fake worker share: options, set-up, figures with machine, load and date,
 * and an end of all that was started.
 */
import { mkdirSync } from "node:fs";
import { parseArgs } from "node:util";
import * as paths from "../../scripts/paths.mjs";
import { stopAll } from "../../scripts/process.mjs";
import { setUp } from "../../scripts/setup.mjs";
import { Board, dim, red } from "../../scripts/terminal.mjs";
import { checkedOut, thisTree, treeNow } from "./edition.mjs";
import { keepStateIn } from "./fake-stack.mjs";
import { compared, comparison, rounded } from "./figures.mjs";
import { fileSystemOf, loadNow, machine } from "./machine.mjs";

/** @typedef {import("./edition.mjs").Edition} Edition */

/**
 * @typedef {object} Measured
 * @property {object} figures
 * @property {boolean} [whole] false where what was measured went wrong
 * @property {string} [table] the figures, for people
 */
/**
 * @template {Record<string, number>} D
 * @param {string[]} args
 * @param {string} help
 * @param {D} defaults the options, all of them numbers
 * @param {(options: D, board: Board, editions: Edition[]) => Promise<Measured>} measure
 *   `editions`: this tree, and with `--against` another one
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
			against: { type: "string" },
			state: { type: "string", default: paths.state },
			json: { type: "boolean", default: false },
			help: { type: "boolean", default: false },
		},
	});
	if (values.help) {
		process.stdout.write(help + COMMON);
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
	const { against, state } =
		/** @type {{ against?: string, state: string }} */ (values);
	mkdirSync(state, { recursive: true });
	keepStateIn(state);
	const board = new Board(values.json ? process.stderr : process.stdout);
	for (const name of /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"]))
		process.on(name, () => void stopAll().then(() => process.exit(130)));
	try {
		await setUp({ board }).all;
		const editions = [
			thisTree,
			...(against === undefined ? [] : [await checkedOut(against, board)]),
		];
		const [before, tree] = [loadNow(), treeNow()];
		const measured = await measure(/** @type {D} */ (options), board, editions);
		const { figures, whole = true, table } = measured;
		const about = {
			date: new Date().toISOString(),
			machine: machine(),
			load: { before, after: loadNow() },
			fileSystem: fileSystemOf(state),
			tree,
			...(editions[1] && { against: editions[1].name }),
			options,
		};
		const all = { ...about, ...figures };
		if (values.json) process.stdout.write(`${JSON.stringify(all)}\n`);
		else if (table)
			board.print(
				`\n${table}\n\n${dim(told(about))}\n\n${JSON.stringify(all)}\n`,
			);
		else board.print(`\n${JSON.stringify(all, null, 2)}\n`);
		return whole ? 0 : 1;
	} catch (error) {
		board.print(red(error instanceof Error ? error.message : String(error)));
		return 1;
	} finally {
		await stopAll();
	}
}

const COMMON = `  --against <commit>
                     measures that commit's edge too, taking turns with this tree's
  --state <folder>   where the edges keep their data; /dev/shm leaves the disk's file system out
  --json             the figures as JSON, and nothing else
`;

/**
 * @param {object} about
 * @param {string} about.date
 * @param {string} about.machine
 * @param {{ before: number, after: number }} about.load
 * @param {string} about.fileSystem
 * @param {object} about.options
 */
const told = ({ date, machine, load, fileSystem, options }) =>
	`  ${date} · ${machine} · load ${load.before} before, ${load.after} after · ${fileSystem}\n  ` +
	Object.entries(options)
		.map(([name, value]) => `${name} ${value}`)
		.join(", ");

/**
 * @typedef {object} Measuring one edition, with all that it needs started and warm
 * @property {(n: number) => Promise<unknown>} round the n-th, from 0
 * @property {() => Promise<Measured>} end stops what was started
 */

/**
 * Measures each edition for as many rounds, taking turns.
 * @param {number} rounds @param {Edition[]} editions
 * @param {(edition: Edition) => Promise<Measuring>} begin
 * @returns {Promise<Measured>} the only edition's, or both and their ratios
 */
export async function inTurns(rounds, editions, begin) {
	/** @type {Measuring[]} */
	const measuring = [];
	for (const edition of editions) measuring.push(await begin(edition));
	for (let n = 0; n < rounds; n++)
		// Each second round the other one begins, so that a drift of the machine favours neither.
		for (const each of n % 2 ? measuring.toReversed() : measuring)
			await each.round(n);
	/** @type {Measured[]} */
	const all = [];
	for (const each of measuring) all.push(await each.end());
	const [here, there] = /** @type {[Measured, Measured?]} */ (all);
	if (!there) return here;
	const pairs = compared(here.figures, there.figures);
	const [, other = thisTree] = editions;
	return {
		figures: {
			thisTree: here.figures,
			against: there.figures,
			ratios: Object.fromEntries(
				pairs.map(({ name, ratio }) => [name, rounded(ratio)]),
			),
		},
		whole: all.every(({ whole = true }) => whole),
		table: comparison(thisTree.name, other.name, pairs),
	};
}
