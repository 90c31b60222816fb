const FIRST_MS = 200;
const MOST_MS = 8_000;

/**
 * Milliseconds to wait after the n-th failure in a row, from 0: twice as long each time up to 8 s, by half at random, so
 * that callers which failed together do not come back together.
 */
export const backoff = (n: number, random: number = Math.random()): number =>
	Math.min(MOST_MS, FIRST_MS * 2 ** n) * (0.5 + random / 2);

/** @throws the signal's reason */
export const sleep = (ms: number, signal: AbortSignal): Promise<void> =>
	new Promise((resolve, reject) => {
		signal.throwIfAborted();
		const stop = () => {
			clearTimeout(timer);
			reject(signal.reason);
		};
		const timer = setTimeout(() => {
			signal.removeEventListener("abort", stop);
			resolve();
		}, ms);
		signal.addEventListener("abort", stop, { once: true });
	});
