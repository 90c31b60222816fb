/** Stripe: payment pages, and what its webhook tells. */
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
}

/**
 * Makes a payment page.
 * @returns its address
 * @throws ApiError `payments_unavailable`
 */
export async function paymentPage(
	settings: Settings,
	{ account, amount, returnTo, name }: TopUp,
): Promise<string> {
	const metadata = { account };
	try {
		const session = await clientOf(settings).checkout.sessions.create(
			{
				mode: "payment",
				client_reference_id: account,
				metadata,
				payment_intent_data: { metadata },
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
		// Stripe's messages may quote the request.
		const { type } = error as { type?: unknown };
		logLine("payments_unavailable", { cause: String(type ?? "unknown") });
	}
	throw new ApiError({ code: "payments_unavailable" });
}

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
