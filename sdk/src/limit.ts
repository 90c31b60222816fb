import { TimeoutError } from "./errors.ts";

export interface Limit {
	signal: AbortSignal;
	/** Lets go of the timer. What the signal was given to goes on. */
	end: () => void;
}

/** A signal that aborts as `signal` does, and with a `TimeoutError` after `ms`. */
export function limit(signal?: AbortSignal, ms?: number): Limit {
	const controller = new AbortController();
	const timer =
		ms === undefined || ms === Number.POSITIVE_INFINITY
			? undefined
			: setTimeout(() => controller.abort(new TimeoutError(ms)), ms);
	return {
		signal: signal
			? AbortSignal.any([signal, controller.signal])
			: controller.signal,
		end: () => clearTimeout(timer),
	};
}
