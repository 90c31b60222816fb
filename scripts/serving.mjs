// @ts-check
/** Which of the embedded models a machine serves. */
import { freemem } from "node:os";

/** @typedef {"mini" | "nano"} Embedded */

/** @type {readonly Embedded[]} */
export const EMBEDDED = ["mini", "nano"];

/** What `npm start` serves without `--model`, where the memory is there. */
export const DEFAULT_MODEL = /** @type {Embedded} */ ("nano");

/**
 * The precision of the language model's linear layers, where it is not the recipe's own: on a CPU,
 * int8 generates twice as fast as bfloat16.
 * @type {Record<Embedded, string | null>}
 */
export const PRECISION = { mini: "int8", nano: null };

const GB = 1e9;
/**
 * Free memory that the worker needs beside the edge: weights, caches and working memory.
 * @type {Record<Embedded, number>}
 */
const NEEDED = { mini: 8 * GB, nano: 4 * GB };

/**
 * The model to serve, and what to tell of the choice.
 * @param {string | undefined} asked the value of `--model`
 * @param {number} [free] bytes of memory
 * @returns {{ model: Embedded, warning: string | null }}
 * @throws where a model is asked for by name that the memory does not hold, or that is none
 */
export function chooseModel(asked, free = freemem()) {
	const gb = (/** @type {number} */ bytes) => `${(bytes / GB).toFixed(1)} GB`;
	const lacks = (/** @type {Embedded} */ model) =>
		`${model} needs ${gb(NEEDED[model])} of free memory, and ${gb(free)} are free`;
	if (asked !== undefined) {
		const model = EMBEDDED.find((each) => each === asked);
		if (!model)
			throw new Error(`--model ${asked}: choose ${EMBEDDED.join(" or ")}`);
		if (free >= NEEDED[model]) return { model, warning: null };
		if (model === "nano") return { model, warning: `${lacks(model)}.` };
		throw new Error(
			`--model ${model}: ${lacks(model)}. Free some, or take --model nano.`,
		);
	}
	if (free >= NEEDED[DEFAULT_MODEL])
		return { model: DEFAULT_MODEL, warning: null };
	const instead =
		DEFAULT_MODEL === "nano"
			? ""
			: " nano, which says less, is served instead.";
	return { model: "nano", warning: `${lacks(DEFAULT_MODEL)}.${instead}` };
}
