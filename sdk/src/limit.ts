import { TimeoutError } from "./errors.ts";
import type { Signal } from "./platform.ts";

export interface Limit {
	signal: AbortSignal;
	/** Lets go of the timer. What the signal was given to goes on. */
	end: () => void;
}

/** A signal that aborts as `signal` does, and with a `TimeoutError` after `ms`. */
export function limit(signal?: Signal, ms?: number): Limit {
	const controller = new AbortController();
	const timer =
		ms === undefined || ms === Number.POSITIVE_INFINITY
			? undefined
			: setTimeout(() => controller.abort(new TimeoutError(ms)), ms);
	return {
		signal: signal ? either(signal, controller) : controller.signal,
		end: () => clearTimeout(timer),
	};
}

function either(signal: Signal, controller: AbortController): AbortSignal {
	try {
		return AbortSignal.any([signal as AbortSignal, controller.signal]);
	} catch {
		// Of another realm, or of a package: its event tells.
		const abort = () => controller.abort(signal.reason);
		if (signal.aborted) abort();
		signal.addEventListener("abort", abort, { once: true });
		return controller.signal;
	}
}
