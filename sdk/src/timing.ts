/** Waits between tries, and the time limits of calls. */
import { TimeoutError } from "./errors.ts";
import type { SignalLike } from "./platform.ts";

const BASE_MS = 200;
const MAX_MS = 8_000;

/**
 * Returns the milliseconds to wait after the n-th failure in a row, counted from 0. The wait
 * doubles up to 8 s. Half of it is random, so that callers that failed together retry apart.
 */
export const backoff = (n: number, random: number = Math.random()): number =>
	Math.min(MAX_MS, BASE_MS * 2 ** n) * (0.5 + random / 2);

/** @throws the signal's reason, as soon as the signal aborts */
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

export interface TimeLimit {
	signal: AbortSignal;
	/** Clears the timer. The signal still follows the caller's own one. */
	clear: () => void;
}

/** Returns a signal that aborts when `signal` does, or with a `TimeoutError` after `ms`. */
export function timeLimit(signal?: SignalLike, ms?: number): TimeLimit {
	const controller = new AbortController();
	const timer =
		ms === undefined || ms === Number.POSITIVE_INFINITY
			? undefined
			: setTimeout(() => controller.abort(new TimeoutError(ms)), ms);
	return {
		signal: signal ? anyOf(signal, controller) : controller.signal,
		clear: () => clearTimeout(timer),
	};
}

function anyOf(signal: SignalLike, controller: AbortController): AbortSignal {
	try {
		return AbortSignal.any([signal as AbortSignal, controller.signal]);
	} catch {
		// `AbortSignal.any` refuses a signal from another realm or from a package.
		const abort = () => controller.abort(signal.reason);
		if (signal.aborted) abort();
		signal.addEventListener("abort", abort, { once: true });
		return controller.signal;
	}
}
