/**
 * When a delivery is tried: at once, then after longer and longer delays, as Standard Webhooks
 * proposes.
 */

const S = 1_000;
const MIN = 60 * S;
const H = 60 * MIN;

/** The delay before each try, counted from the one before. */
export const DELAYS_MS: readonly number[] = [
	0,
	5 * S,
	5 * MIN,
	30 * MIN,
	2 * H,
	5 * H,
	10 * H,
	14 * H,
	20 * H,
	24 * H,
];

/** Jitter lengthens a delay by up to this share of it, and never shortens one. */
export const JITTER = 0.1;

/**
 * When the next try is due; null after the last one.
 * @param tries so far
 * @param random in [0, 1)
 */
export function nextTry(
	tries: number,
	random: number,
	now: number,
): number | null {
	const delay = DELAYS_MS[tries];
	return delay === undefined
		? null
		: now + delay + Math.floor(delay * JITTER * random);
}
