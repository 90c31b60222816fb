/**
 * What card payments are worth, as pure decisions. A payment processor tells of a payment in events
 * that may come twice, late, or in any order. Each event says how much of something there is in
 * all, never how much more, so that the same events lead to the same worth however they come.
 */
import type { PaymentEvent } from "../contract/payment.ts";

/** A payment as its events have told of it so far. Amounts are micro-USD. */
export interface Payment {
	/** Received. */
	paid: number;
	/** Given back by us. */
	refunded: number;
	/** What the payer's bank took back or may take back, by the dispute's id; 0 for one we won. */
	disputed: Readonly<Record<string, number>>;
	/** What the account was credited with so far, less what was taken back. */
	credited: number;
}

export const UNPAID: Payment = {
	paid: 0,
	refunded: 0,
	disputed: {},
	credited: 0,
};

/** The payment after an event. */
export function learned(payment: Payment, event: PaymentEvent): Payment {
	switch (event.type) {
		case "paid":
			return { ...payment, paid: Math.max(payment.paid, event.amount) };
		case "refunded":
			return { ...payment, refunded: Math.max(payment.refunded, event.total) };
		case "disputed":
			// One that is closed already stays as it was decided.
			return event.dispute in payment.disputed
				? payment
				: withDispute(payment, event.dispute, event.amount);
		case "dispute_closed":
			return withDispute(payment, event.dispute, event.won ? 0 : event.amount);
	}
}

const withDispute = (
	payment: Payment,
	dispute: string,
	amount: number,
): Payment => ({
	...payment,
	disputed: { ...payment.disputed, [dispute]: amount },
});

/** What the account should have of the payment. */
export const worthOf = ({ paid, refunded, disputed }: Payment): number =>
	Math.max(
		0,
		paid - refunded - Object.values(disputed).reduce((sum, n) => sum + n, 0),
	);

/** A step of the ledger towards what a payment is worth. */
export interface Step {
	/** Credited if positive, taken back if negative. */
	amount: number;
	/** What could not be taken back, because it is spent or held. */
	owed: number;
}

/**
 * What to post now.
 * @param available what the account can give
 */
export function step(payment: Payment, available: number): Step {
	const missing = worthOf(payment) - payment.credited;
	const amount = Math.max(missing, 0 - available);
	return { amount, owed: amount - missing };
}
