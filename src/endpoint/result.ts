/** What the outcome of a try means for its delivery and for the webhook: a pure decision. */
import { nextTry } from "./schedule.ts";

/** A webhook whose tries all failed for this long is disabled. */
export const NO_SUCCESS_MS = 5 * 24 * 60 * 60_000;
const GONE = 410;

/** How one try ended. */
export interface TryOutcome {
	/** Null where no response came. */
	httpStatus: number | null;
	/** Why it failed; null where the receiver accepted it. */
	error: string | null;
}

export interface Health {
	/** When the first try failed after the last success; milliseconds since 1970. */
	failingSince: number | null;
	lastSuccessAt: number | null;
}

export interface DeliveryResult {
	status: "delivered" | "failed" | "gave_up";
	/** Null where no further try follows. */
	nextAt: number | null;
	health: Health;
	disable: "gone" | "no_success" | null;
}

/**
 * @param tries this one included
 * @param random in [0, 1)
 */
export function resultOf(
	health: Health,
	tries: number,
	outcome: TryOutcome,
	random: number,
	now: number,
): DeliveryResult {
	if (outcome.error === null)
		return {
			status: "delivered",
			nextAt: null,
			disable: null,
			health: { failingSince: null, lastSuccessAt: now },
		};
	const failingSince = health.failingSince ?? now;
	const disable =
		outcome.httpStatus === GONE
			? "gone"
			: now - failingSince >= NO_SUCCESS_MS
				? "no_success"
				: null;
	const nextAt = nextTry(tries, random, now);
	return {
		status: nextAt === null ? "gave_up" : "failed",
		nextAt,
		health: { ...health, failingSince },
		disable,
	};
}
