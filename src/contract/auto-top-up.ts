/** What the Account and the Worker tell each other about automatic top-ups. */

/** When a saved card is charged, and with how much. Micro-USD. */
export interface AutoTopUpRule {
	/** It is charged where less than this is available. */
	below: number;
	amount: number;
	/** The most in a month of UTC. */
	monthlyCap: number;
}

export interface AutoTopUpView {
	/** Null where it is off. */
	rule: AutoTopUpRule | null;
	hasCard: boolean;
	status: AutoTopUpStatus;
	/** Micro-USD in this month, what is being charged included. */
	charged: number;
}

/**
 * `capped`: another charge would pass the month's cap. `declined`: the card was refused, and is not
 * charged again before somebody sets the rule anew or saves a card. `unclear`: the payment provider
 * did not say for most of a day whether it charged, so that a person must look.
 */
export const AUTO_TOP_UP_STATUSES = [
	"off",
	"ready",
	"charging",
	"capped",
	"declined",
	"unclear",
] as const;
export type AutoTopUpStatus = (typeof AUTO_TOP_UP_STATUSES)[number];
