// @ts-check
/** Figures as trees of numbers: the median of several rounds, and two editions side by side. */
import { percentile } from "./load.mjs";

/** @param {number[]} values */
export const median = (values) => percentile(values, 0.5);

/**
 * The trees' medians, number by number; what is no number is as in the first.
 * @template T @param {T[]} trees of one shape @returns {T}
 */
export function medianOf(trees) {
	const [first] = trees;
	if (typeof first === "number")
		return /** @type {any} */ (median(/** @type {any} */ (trees)));
	if (typeof first !== "object" || first === null)
		return /** @type {T} */ (first);
	const at = (/** @type {string} */ name) =>
		medianOf(trees.map((tree) => /** @type {any} */ (tree)[name]));
	if (Array.isArray(first))
		return /** @type {any} */ (first.map((_, n) => at(String(n))));
	return /** @type {any} */ (
		Object.fromEntries(Object.keys(first).map((name) => [name, at(name)]))
	);
}

/**
 * `ratio`: first to second.
 * @typedef {{ name: string, values: [number, number], ratio: number }} Compared
 */

/**
 * The numbers that both trees have, each by its path.
 * @param {unknown} here @param {unknown} there @returns {Compared[]}
 */
export function compared(here, there, path = "") {
	if (typeof here === "number" && typeof there === "number")
		return [{ name: path, values: [here, there], ratio: here / there }];
	if (!isTree(here) || !isTree(there)) return [];
	return Object.keys(here)
		.filter((name) => name in there)
		.flatMap((name) =>
			compared(here[name], there[name], path ? `${path} ${name}` : name),
		);
}

/** @param {unknown} value @returns {value is Record<string, unknown>} */
const isTree = (value) => typeof value === "object" && value !== null;

/**
 * Columns as wide as what is in them; the first to the left, numbers to the right.
 * @param {string[][]} rows @returns {string}
 */
export function columns(rows) {
	const width = (/** @type {number} */ n) =>
		Math.max(...rows.map((row) => row[n]?.length ?? 0));
	return rows
		.map((row) =>
			row
				.map((cell, n) =>
					n === 0 ? cell.padEnd(width(n)) : cell.padStart(width(n)),
				)
				.join("  ")
				.trimEnd(),
		)
		.map((line) => `  ${line}`)
		.join("\n");
}

/** @param {number} value to three digits */
export const short = (value) =>
	String(Math.abs(value) >= 1000 ? Math.round(value) : rounded(value));

/** Three digits of each number. @template T @param {T} value @returns {T} */
export const rounded = (value) =>
	JSON.parse(
		JSON.stringify(value, (_, each) =>
			typeof each === "number" ? Number(each.toPrecision(3)) : each,
		),
	);

/** @param {string} here @param {string} there @param {Compared[]} pairs */
export const comparison = (here, there, pairs) =>
	columns([
		["", here, there, `${here} ÷ ${there}`],
		...pairs.map(({ name, values, ratio }) => [
			name,
			...values.map(short),
			Number.isFinite(ratio) ? ratio.toFixed(2) : "–",
		]),
	]);

/**
 * What V8's profiler gives.
 * @typedef {object} ProfileNode
 * @property {number} id
 * @property {{ functionName: string }} callFrame
 * @property {number[]} [children]
 */
/** @typedef {{ nodes: ProfileNode[], samples: number[], timeDeltas: number[] }} Profile */

/**
 * Shares of the time that is not idle, the largest first.
 * @param {Profile} profile @param {number} rows
 */
export function shares({ nodes, samples, timeDeltas }, rows) {
	/** @type {Map<number, number>} */
	const own = new Map();
	for (const [n, node] of samples.entries())
		own.set(node, (own.get(node) ?? 0) + (timeDeltas[n] ?? 0));
	const byId = new Map(nodes.map((node) => [node.id, node]));
	const nameOf = (/** @type {ProfileNode} */ node) =>
		node.callFrame.functionName || "(anonymous)";
	/** @type {Map<string, number>} */
	const self = new Map();
	/** @type {Map<string, number>} */
	const whole = new Map();
	let total = 0;
	/** @param {ProfileNode} node @param {Set<string>} above */
	const walk = (node, above) => {
		const name = nameOf(node);
		if (name === "(idle)") return;
		const time = own.get(node.id) ?? 0;
		total += time;
		self.set(name, (self.get(name) ?? 0) + time);
		const names = above.has(name) ? above : new Set([...above, name]);
		for (const each of names) whole.set(each, (whole.get(each) ?? 0) + time);
		for (const id of node.children ?? []) {
			const child = byId.get(id);
			if (child) walk(child, names);
		}
	};
	const [root] = nodes;
	if (root) walk(root, new Set());
	const largest = (/** @type {Map<string, number>} */ times) =>
		Object.fromEntries(
			[...times]
				.filter(([name]) => name !== "(root)" && name !== "(anonymous)")
				.sort(([, a], [, b]) => b - a)
				.slice(0, rows)
				.map(([name, time]) => [name, time / total]),
		);
	return { self: largest(self), withCallees: largest(whole) };
}
