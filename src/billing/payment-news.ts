/** What an event of Stripe's means for a payment, as a pure decision. */
import type { PaymentEvent } from "../contract/payment.ts";
import { MICRO_USD_PER_CENT } from "./money.ts";
import type { StripeEvent } from "./stripe.ts";

export interface PaymentNews {
	/** Stripe's id of the payment. */
	payment: string;
	/** The account that it is for; null where the event does not name it. */
	account: string | null;
	event: PaymentEvent;
}

/** Null for an event that moves no money of ours. */
export function newsOf({ type, data }: StripeEvent): PaymentNews | null {
	switch (type) {
		case "checkout.session.completed":
		case "checkout.session.async_payment_succeeded": {
			const { payment_status, payment_intent, currency, ...session } =
				data.object;
			if (payment_status !== "paid" || currency !== "usd") return null;
			return news(payment_intent, session.metadata, {
				type: "paid",
				amount: micro(session.amount_total ?? 0),
				...(session.metadata?.save_card === "yes" &&
					session.customer && { customer: idOf(session.customer) }),
			});
		}
		case "payment_intent.succeeded": {
			const { id, metadata, amount_received, currency } = data.object;
			// Other payments of the same Stripe account are none of ours.
			if (currency !== "usd" || !metadata.account) return null;
			return news(id, metadata, {
				type: "paid",
				amount: micro(amount_received),
			});
		}
		case "charge.refunded": {
			const { payment_intent, metadata, amount_refunded } = data.object;
			return news(payment_intent, metadata, {
				type: "refunded",
				total: micro(amount_refunded),
			});
		}
		case "charge.dispute.funds_withdrawn":
		case "charge.dispute.funds_reinstated": {
			const { id, amount, payment_intent } = data.object;
			const dispute = { dispute: id, amount: micro(amount) };
			return news(
				payment_intent,
				null,
				type === "charge.dispute.funds_withdrawn"
					? { type: "disputed", ...dispute }
					: { type: "dispute_closed", ...dispute, won: true },
			);
		}
		default:
			return null;
	}
}

const micro = (cents: number): number => cents * MICRO_USD_PER_CENT;

function news(
	payment: string | { id: string } | null,
	metadata: Record<string, string> | null,
	event: PaymentEvent,
): PaymentNews | null {
	if (payment === null) return null;
	return {
		payment: idOf(payment),
		account: metadata?.account ?? null,
		event,
	};
}

const idOf = (object: string | { id: string }): string =>
	typeof object === "string" ? object : object.id;
