/**
 * Stripe tells of payments here, perhaps twice, late, or in another order. Any answer but 2xx makes
 * it tell again, for three days.
 */
import { newsOf } from "../billing/payment-news.ts";
import { eventIn } from "../billing/stripe.ts";
import { config } from "../env.ts";
import { ApiError, unwrap } from "../errors.ts";
import { readBody } from "../http/body.ts";
import { newRouter } from "../http/router.ts";
import { logLine } from "../log.ts";
import { accountOf, directoryOf } from "../objects.ts";

const LONGEST = 256 * 1024;

export const stripe = newRouter();

stripe.post("/", async (c) => {
	const { STRIPE } = config(c.env);
	if (!STRIPE) throw new ApiError({ code: "not_found" });
	const body = new TextDecoder().decode(await readBody(c.req.raw, LONGEST));
	const signature = c.req.header("Stripe-Signature") ?? "";
	const event = await eventIn(STRIPE, body, signature);
	const news = newsOf(event);
	if (!news) return c.body(null, 204);
	const { payment } = news;
	// A dispute names no account, so the Directory keeps whose each payment is.
	const account = await directoryOf(c.env).payment(payment, news.account);
	if (account === null) throw new ApiError({ code: "payment_not_found" });
	unwrap(
		await accountOf(c.env, account).payment(`stripe:${payment}`, news.event),
	);
	logLine("payment", { payment, type: event.type });
	return c.body(null, 204);
});
