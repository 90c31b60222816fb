/** When a saved card is charged: pure decisions. Amounts are micro-USD, months are UTC's. */
import type { AutoTopUpRule, AutoTopUpView } from "../contract/auto-top-up.ts";
import { monthOf } from "./rollover.ts";

export interface AutoTopUp {
	/** Null where it is off. */
	rule: AutoTopUpRule | null;
	/** Whom the payment provider keeps the card for; null before one was saved. */
	customer: string | null;
	/** The month that `charged` is of. */
	month: string;
	/** What the card was charged, and what it is being charged. */
	charged: number;
	/** Charges so far: the number names each of them, so that its repeats are one charge. */
	count: number;
	/** The charge of which no end is known, and whom it is charged to. */
	pending: { customer: string; amount: number; since: number } | null;
	stopped: "declined" | "unclear" | null;
}

export const NO_AUTO_TOP_UP: AutoTopUp = {
	rule: null,
	customer: null,
	month: "",
	charged: 0,
	count: 0,
	pending: null,
	stopped: null,
};

export type AutoTopUpEvent =
	/** So much is available. */
	| { type: "balance"; available: number }
	| { type: "ruled"; rule: AutoTopUpRule | null }
	| { type: "card_saved"; customer: string }
	| { type: "paid" }
	| { type: "declined" }
	/** The provider did not answer, or did not say how the charge ended. */
	| { type: "no_answer" };

/**
 * For how long a charge is repeated. Stripe knows a repeat by its idempotency key for 24 hours, so
 * that a later one could charge twice.
 */
const UNCLEAR_AFTER_MS = 20 * 60 * 60_000;

/** The state after an event. A charge begins where `pending` is set. */
export function advance(
	state: AutoTopUp,
	event: AutoTopUpEvent,
	now: number,
): AutoTopUp {
	const { pending } = state;
	switch (event.type) {
		case "ruled":
			return { ...state, rule: event.rule, stopped: null };
		case "card_saved":
			return { ...state, customer: event.customer, stopped: null };
		case "balance":
			return charge(state, event.available, now);
		case "paid":
			return { ...state, pending: null };
		case "declined":
			return pending
				? {
						...state,
						pending: null,
						// What was refused in another month is not in this one's sum.
						charged:
							state.month === monthOf(pending.since)
								? state.charged - pending.amount
								: state.charged,
						stopped: "declined",
					}
				: state;
		case "no_answer":
			return pending && now - pending.since >= UNCLEAR_AFTER_MS
				? { ...state, pending: null, stopped: "unclear" }
				: state;
	}
}

function charge(state: AutoTopUp, available: number, now: number): AutoTopUp {
	const { rule, customer, pending, stopped } = state;
	if (!rule || customer === null || pending || stopped) return state;
	if (available >= rule.below || isCapped(state, rule, now)) return state;
	return {
		...state,
		month: monthOf(now),
		charged: chargedIn(state, now) + rule.amount,
		count: state.count + 1,
		pending: { customer, amount: rule.amount, since: now },
	};
}

const chargedIn = ({ month, charged }: AutoTopUp, now: number): number =>
	month === monthOf(now) ? charged : 0;

const isCapped = (
	state: AutoTopUp,
	{ amount, monthlyCap }: AutoTopUpRule,
	now: number,
): boolean => chargedIn(state, now) + amount > monthlyCap;

export function autoTopUpView(state: AutoTopUp, now: number): AutoTopUpView {
	const { rule, customer, pending, stopped } = state;
	return {
		rule,
		hasCard: customer !== null,
		status: pending
			? "charging"
			: !rule
				? "off"
				: (stopped ?? (isCapped(state, rule, now) ? "capped" : "ready")),
		charged: chargedIn(state, now),
	};
}
