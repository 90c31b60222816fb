/** What a try means for its delivery and for the webhook: a pure decision. */
import { nextTry } from "./schedule.ts";

/** Without one success for so long a webhook is disabled. */
export const NO_SUCCESS_MS = 5 * 24 * 60 * 60_000;
const GONE = 410;

/** What came of one try. */
export interface TryOutcome {
	/** Null where there was no answer. */
	httpStatus: number | null;
	/** Why it is no success; null for one. */
	error: string | null;
}

export interface Health {
	/** The first failure since the last success; milliseconds since 1970. */
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
 * @param tries of this delivery, this one among them
 * @param random in [0, 1)
 */
export function resultOf(
	health: Health,
	tries: number,
	tried: TryOutcome,
	random: number,
	now: number,
): DeliveryResult {
	if (tried.error === null)
		return {
			...{ status: "delivered", nextAt: null, disable: null },
			health: { failingSince: null, lastSuccessAt: now },
		};
	const failingSince = health.failingSince ?? now;
	const disable =
		tried.httpStatus === GONE
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
