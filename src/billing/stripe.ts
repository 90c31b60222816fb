/** Stripe: payment pages, charges of saved cards, and what its webhook tells. */
import Stripe from "stripe";
import type { Config } from "../env.ts";
import { ApiError } from "../errors.ts";
import { logLine } from "../log.ts";
import { MICRO_USD_PER_CENT } from "./money.ts";

type Settings = NonNullable<Config["STRIPE"]>;

/** One of Stripe's events as its signature proves it. */
export type StripeEvent = Stripe.Event;

const clientOf = ({ secret_key, api }: Settings): Stripe => {
	const url = api === undefined ? null : new URL(api);
	return new Stripe(secret_key, {
		httpClient: Stripe.createFetchHttpClient(),
		maxNetworkRetries: 2,
		timeout: 10_000,
		telemetry: false,
		...(url && {
			host: url.hostname,
			port: url.port,
			protocol: url.protocol === "http:" ? "http" : "https",
		}),
	});
};

export interface TopUp {
	account: string;
	/** Micro-USD, whole cents. */
	amount: number;
	/** Where the payment page leads back to. */
	returnTo: string;
	/** Repeats under this name are one payment page. */
	name: string | null;
	/** Whether Stripe keeps the card for automatic top-ups. */
	saveCard: boolean;
}

/**
 * Makes a payment page.
 * @returns its address
 * @throws ApiError `payments_unavailable`
 */
export async function paymentPage(
	settings: Settings,
	{ account, amount, returnTo, name, saveCard }: TopUp,
): Promise<string> {
	const metadata = { account, ...(saveCard && { save_card: "yes" }) };
	try {
		const session = await clientOf(settings).checkout.sessions.create(
			{
				mode: "payment",
				client_reference_id: account,
				metadata,
				...(saveCard && { customer_creation: "always" as const }),
				payment_intent_data: {
					metadata,
					...(saveCard && { setup_future_usage: "off_session" as const }),
				},
				line_items: [
					{
						quantity: 1,
						price_data: {
							currency: "usd",
							unit_amount: amount / MICRO_USD_PER_CENT,
							product_data: { name: "MiniGPT-4 API credit" },
						},
					},
				],
				success_url: `${returnTo}?paid=yes`,
				cancel_url: `${returnTo}?paid=no`,
			},
			name === null ? {} : { idempotencyKey: `${account} ${name}` },
		);
		if (session.url) return session.url;
		logLine("payments_unavailable", { cause: "a session without an address" });
	} catch (error) {
		logLine("payments_unavailable", { cause: typeOf(error) });
	}
	throw new ApiError({ code: "payments_unavailable" });
}

export interface Charge {
	account: string;
	/** Stripe's id of whoever saved the card. */
	customer: string;
	/** Micro-USD, whole cents. */
	amount: number;
	/** Repeats under this name within a day are one charge. */
	name: string;
}

export type ChargeOutcome =
	| { status: "paid"; payment: string }
	| { status: "declined" }
	| { status: "no_answer" };

/** Charges the card that a customer saved, without the customer. */
export async function chargeSavedCard(
	settings: Settings,
	{ account, customer, amount, name }: Charge,
): Promise<ChargeOutcome> {
	const client = clientOf(settings);
	try {
		const cards = await client.customers.listPaymentMethods(customer, {
			type: "card",
			limit: 1,
		});
		const [card] = cards.data;
		if (!card) return { status: "declined" };
		const { id, status } = await client.paymentIntents.create(
			{
				amount: amount / MICRO_USD_PER_CENT,
				currency: "usd",
				customer,
				payment_method: card.id,
				off_session: true,
				confirm: true,
				metadata: { account },
			},
			{ idempotencyKey: name },
		);
		if (status === "succeeded") return { status: "paid", payment: id };
		return { status: status === "processing" ? "no_answer" : "declined" };
	} catch (error) {
		const type = typeOf(error);
		logLine("charge_failed", { account, cause: type });
		// The card was refused, or its customer is gone: another try would end alike.
		const isRefused =
			type === "StripeCardError" || type === "StripeInvalidRequestError";
		return { status: isRefused ? "declined" : "no_answer" };
	}
}

/** Has Stripe forget a customer with the card. @throws Error where it does not answer */
export async function deleteCustomer(
	settings: Settings,
	customer: string,
): Promise<void> {
	try {
		await clientOf(settings).customers.del(customer);
	} catch (error) {
		const type = typeOf(error);
		// Stripe knows no such customer any more.
		if (type !== "StripeInvalidRequestError") throw new Error(type);
	}
}

/** What kind of error it is. Stripe's messages may quote the request. */
const typeOf = (error: unknown): string =>
	String((error as { type?: unknown }).type ?? "unknown");

/**
 * The event in a webhook's body.
 * @param signature the header `Stripe-Signature`
 * @throws ApiError `invalid_signature`
 */
export async function eventIn(
	settings: Settings,
	body: string,
	signature: string,
): Promise<StripeEvent> {
	try {
		return await clientOf(settings).webhooks.constructEventAsync(
			body,
			signature,
			settings.webhook_secret,
			undefined,
			Stripe.createSubtleCryptoProvider(),
		);
	} catch {
		throw new ApiError({ code: "invalid_signature" });
	}
}
