// @ts-check
/** What the gateway bench makes of its bursts. */
import { columns } from "./figures.mjs";
import { percentile } from "./load.mjs";

/**
 * Streams that began at once.
 * @typedef {object} Burst
 * @property {number[]} ttft of each, in ms
 * @property {number} seconds until the last one ended
 * @property {number} cpu seconds of all processes of the side
 * @property {number} tokens of all streams
 * @property {number} MiB of all processes of the side, afterwards
 */

export const STRAIGHT = "straight";
export const LITELLM = "LiteLLM";
export const EDGE = "edge";

/** @param {Burst[]} bursts @param {Burst[]} straight of as many streams */
export function sideFigures(bursts, straight) {
	const quantile = (/** @type {Burst[]} */ of, /** @type {number} */ q) =>
		percentile(
			of.flatMap(({ ttft }) => ttft),
			q,
		);
	const perSecond = (/** @type {Burst[]} */ of) =>
		sum(of, "tokens") / sum(of, "seconds");
	return {
		ttftMs: { p50: quantile(bursts, 0.5), p95: quantile(bursts, 0.95) },
		addedMs: {
			p50: quantile(bursts, 0.5) - quantile(straight, 0.5),
			p95: quantile(bursts, 0.95) - quantile(straight, 0.95),
		},
		tokensPerSecond: perSecond(bursts),
		ofStraight: perSecond(bursts) / perSecond(straight),
		cpuSecondsPer1000Tokens:
			(1000 * sum(bursts, "cpu")) / sum(bursts, "tokens"),
		MiB: Math.max(...bursts.map(({ MiB }) => MiB)),
	};
}

/** @param {Burst[]} bursts @param {"tokens" | "seconds" | "cpu"} what */
const sum = (bursts, what) =>
	bursts.reduce((all, burst) => all + burst[what], 0);

/** @param {{ streams: number, sides: Record<string, ReturnType<typeof sideFigures>> }[]} levels */
export function table(levels) {
	const rows = levels.flatMap(({ streams, sides }) => {
		const edge = /** @type {ReturnType<typeof sideFigures>} */ (sides[EDGE]);
		const lines = Object.entries(sides).map(([name, side]) => [
			name,
			String(streams),
			side.ttftMs.p50.toFixed(0),
			side.ttftMs.p95.toFixed(0),
			side.addedMs.p50.toFixed(0),
			side.addedMs.p95.toFixed(0),
			side.tokensPerSecond.toFixed(0),
			side.ofStraight.toFixed(2),
			...(name === STRAIGHT
				? ["–", "–"]
				: [side.cpuSecondsPer1000Tokens.toFixed(2), side.MiB.toFixed(0)]),
		]);
		const ratios = Object.entries(sides)
			.filter(([name]) => name !== STRAIGHT && name !== EDGE)
			.map(([name, other]) => [
				`${EDGE} ÷ ${name}`,
				String(streams),
				"",
				"",
				(edge.addedMs.p50 / other.addedMs.p50).toFixed(2),
				(edge.addedMs.p95 / other.addedMs.p95).toFixed(2),
				"",
				(edge.ofStraight / other.ofStraight).toFixed(2),
				(edge.cpuSecondsPer1000Tokens / other.cpuSecondsPer1000Tokens).toFixed(
					2,
				),
				(edge.MiB / other.MiB).toFixed(2),
			]);
		return [...lines, ...ratios];
	});
	return columns([
		[
			"",
			"streams",
			"TTFT p50",
			"p95 ms",
			"added p50",
			"p95 ms",
			"tok/s",
			"of straight",
			"CPU s/1,000",
			"MiB",
		],
		...rows,
	]);
}
