/** Topping up the balance. */
import { createRoute, z } from "@hono/zod-openapi";
import { paymentPage } from "../billing/stripe.ts";
import { config } from "../env.ts";
import { ApiError } from "../errors.ts";
import { requires, unwrapForCaller } from "../http/authenticate.ts";
import { body, SMALL_BODY } from "../http/body.ts";
import { newRouter } from "../http/router.ts";
import { TopUp, TopUpRequest } from "../schema/billing.ts";
import { idempotencyKeyOf } from "../submit/request.ts";
import { JSON_CALL, problems } from "./failures.ts";
import { json, NOT_STORED, originOf } from "./kit.ts";

export const billing = newRouter();

billing.openapi(
	createRoute({
		method: "post",
		path: "/top-ups",
		operationId: "createTopUp",
		summary: "A payment page, to top up the balance by card",
		description:
			"Answers the address of a page of Stripe's. Nothing is charged until somebody pays there; " +
			"the credit then comes once, and a refund or a dispute takes it back. With an " +
			"`Idempotency-Key` a repeat answers the same page for a day.",
		...requires("billing:read", body({ limit: SMALL_BODY })),
		request: {
			headers: z.object({ "idempotency-key": z.string().optional() }),
			body: { required: true, content: json(TopUpRequest) },
		},
		responses: {
			201: { description: "The page", content: json(TopUp) },
			...problems(
				...JSON_CALL,
				404,
				503,
				"bound_key",
				"payments_off",
				"payments_unavailable",
			),
		},
	}),
	async (c) => {
		const { id, account, credential } = c.var.caller;
		// Whether the key may.
		unwrapForCaller(c, await account.showTo(credential));
		const { STRIPE } = config(c.env);
		if (!STRIPE) throw new ApiError({ code: "payments_off" });
		const { amount } = c.req.valid("json");
		const url = await paymentPage(STRIPE, {
			account: id,
			amount,
			returnTo: `${originOf(c)}/console`,
			name: await idempotencyKeyOf(c.req.header("Idempotency-Key")),
		});
		return c.json({ object: "top_up" as const, amount, url }, 201, NOT_STORED);
	},
);
