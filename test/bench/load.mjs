// @ts-check
/** A fixed number of readers that ask one question after another, and what they saw. */

/** @typedef {import("./clients.mjs").Answer} Answer */
/**
 * @typedef {object} Measured
 * @property {number} requests
 * @property {{ p50: number, p95: number }} ttft in ms
 * @property {number} tokens
 * @property {number} tokensPerSecond
 */

/** Nearest rank. @param {number[]} values @param {number} q */
export function percentile(values, q) {
	const sorted = [...values].sort((a, b) => a - b);
	return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] ?? Number.NaN;
}

/**
 * @param {{ concurrency: number, requests: number, ask: (n: number) => Promise<Answer> }} options
 * @returns {Promise<Measured>} tokens per second: of all readers, first question to last answer
 */
export async function load({ concurrency, requests, ask }) {
	/** @type {Answer[]} */
	const answers = [];
	let next = 0;
	const from = performance.now();
	await Promise.all(
		Array.from({ length: concurrency }, async () => {
			while (next < requests) answers.push(await ask(next++));
		}),
	);
	const seconds = (performance.now() - from) / 1000;
	const ttft = answers
		.map((answer) => answer.ttft)
		.filter((ms) => !Number.isNaN(ms));
	const tokens = answers.reduce((sum, answer) => sum + answer.tokens, 0);
	return {
		requests,
		ttft: { p50: percentile(ttft, 0.5), p95: percentile(ttft, 0.95) },
		tokens,
		tokensPerSecond: tokens / seconds,
	};
}
