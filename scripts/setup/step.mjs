// @ts-check
/** One step of set-up. It is skipped while its inputs have the hash that it last succeeded with. */
import { createHash } from "node:crypto";
import {
	existsSync,
	mkdirSync,
	readdirSync,
	readFileSync,
	rmSync,
	statSync,
	writeFileSync,
} from "node:fs";
import { join, relative } from "node:path";
import { root, state } from "../paths.mjs";

/**
 * @typedef {object} Context
 * @property {string} log where the output of the step's commands goes
 * @property {AbortSignal} signal aborts when another step failed or the user gave up
 * @property {(text: string) => void} onLine shows what the step is at
 */
/**
 * @typedef {object} Step
 * @property {string} name
 * @property {() => string[]} inputs files, folders and plain words; the step runs again when they
 *   change
 * @property {string[]} outputs files that must exist
 * @property {(context: Context) => Promise<void>} run
 */

const stamps = join(state, "stamps");
/** @param {Step} step */
const stampOf = (step) => join(stamps, step.name.replaceAll(" ", "-"));

/** @param {import("node:crypto").Hash} hash @param {string} path */
function addPath(hash, path) {
	if (statSync(path).isDirectory()) {
		for (const entry of readdirSync(path).sort()) {
			if (entry !== "__pycache__") addPath(hash, join(path, entry));
		}
	} else {
		hash.update(`${relative(root, path)}\0`).update(readFileSync(path));
	}
}

/** @param {Step} step */
function digest(step) {
	const hash = createHash("sha256");
	for (const input of step.inputs()) {
		if (input.startsWith("/")) {
			if (existsSync(input)) addPath(hash, input);
		} else hash.update(`${input}\0`);
	}
	return hash.digest("hex");
}

/** @param {Step} step */
export function isFresh(step) {
	return (
		step.outputs.every((path) => existsSync(path)) &&
		existsSync(stampOf(step)) &&
		readFileSync(stampOf(step), "utf8") === digest(step)
	);
}

/**
 * Runs the step. The stamp goes first and comes back last, so a step cut short runs again.
 * @param {Step} step @param {Context} context
 */
export async function perform(step, context) {
	rmSync(stampOf(step), { force: true });
	const before = digest(step);
	await step.run(context);
	mkdirSync(stamps, { recursive: true });
	writeFileSync(stampOf(step), before);
}
