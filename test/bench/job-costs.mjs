// @ts-check
/** What each job cost the edge, from the line that a Job logs at its end. */
import { readFileSync } from "node:fs";
import { percentile } from "./load.mjs";

/**
 * Calls to other objects, and durable writes, of the Job object.
 * @typedef {{ rpcs: number, writes: number }} Cost
 */

/**
 * @param {string} log the edge's log file
 * @returns {Cost[]} one for each job that ended, in order
 */
export function jobCosts(log) {
	return readFileSync(log, "utf8")
		.split("\n")
		.filter((line) => line.startsWith("{") && line.includes('"event":"job"'))
		.map((line) => JSON.parse(line))
		.map(({ rpcs, writes }) => ({ rpcs, writes }));
}

/** @param {Cost[]} costs @returns {Cost | undefined} the median of each */
export const medianCost = (costs) =>
	costs.length === 0
		? undefined
		: {
				rpcs: percentile(
					costs.map((cost) => cost.rpcs),
					0.5,
				),
				writes: percentile(
					costs.map((cost) => cost.writes),
					0.5,
				),
			};
