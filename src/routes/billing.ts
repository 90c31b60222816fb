/** Topping up the balance. */
import { createRoute, z } from "@hono/zod-openapi";
import { paymentPage } from "../billing/stripe.ts";
import type { AutoTopUpView } from "../contract/auto-top-up.ts";
import { config } from "../env.ts";
import { ApiError } from "../errors.ts";
import { requires, unwrapForCaller } from "../http/authenticate.ts";
import { body, SMALL_BODY } from "../http/body.ts";
import { newRouter } from "../http/router.ts";
import {
	AutoTopUp,
	AutoTopUpRule,
	TopUp,
	TopUpRequest,
} from "../schema/billing.ts";
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
		const { amount, save_card } = c.req.valid("json");
		const url = await paymentPage(STRIPE, {
			account: id,
			amount,
			returnTo: `${originOf(c)}/console`,
			name: await idempotencyKeyOf(c.req.header("Idempotency-Key")),
			saveCard: save_card,
		});
		return c.json({ object: "top_up" as const, amount, url }, 201, NOT_STORED);
	},
);

const PATH = "/auto-top-up";

billing.openapi(
	createRoute({
		method: "get",
		path: PATH,
		operationId: "getAutoTopUp",
		summary: "When a saved card is charged, and what it was charged",
		...requires("billing:read"),
		responses: {
			200: { description: "The rule", content: json(AutoTopUp) },
			...problems(401, 429, "bound_key"),
		},
	}),
	async (c) => {
		const { account, credential } = c.var.caller;
		const found = unwrapForCaller(c, await account.autoTopUp(credential));
		return c.json(autoTopUpWire(found.autoTopUp), 200);
	},
);

billing.openapi(
	createRoute({
		method: "put",
		path: PATH,
		operationId: "setAutoTopUp",
		summary: "Have a saved card charged whenever little is left",
		description:
			"Top up once with `save_card`. From then on the card is charged `amount` whenever less " +
			"than `below` is available, never more than `monthly_cap` in a month, and one charge at a " +
			"time. A card that is refused is not tried again.",
		...requires("keys:admin", body({ limit: SMALL_BODY })),
		request: { body: { required: true, content: json(AutoTopUpRule) } },
		responses: {
			200: { description: "The rule", content: json(AutoTopUp) },
			...problems(
				...JSON_CALL,
				404,
				409,
				"bound_key",
				"payments_off",
				"no_saved_card",
			),
		},
	}),
	async (c) => {
		const { account, credential } = c.var.caller;
		// Whether the key may.
		unwrapForCaller(c, await account.autoTopUp(credential));
		if (!config(c.env).STRIPE) throw new ApiError({ code: "payments_off" });
		const { below, amount, monthly_cap } = c.req.valid("json");
		const rule = { below, amount, monthlyCap: monthly_cap };
		const ruled = unwrapForCaller(
			c,
			await account.ruleAutoTopUp(credential, rule),
		);
		return c.json(autoTopUpWire(ruled.autoTopUp), 200);
	},
);

billing.openapi(
	createRoute({
		method: "delete",
		path: PATH,
		operationId: "endAutoTopUp",
		summary: "Charge the card no more",
		description: "A charge that has begun may still end. The card stays saved.",
		...requires("keys:admin"),
		responses: {
			200: { description: "It is off", content: json(AutoTopUp) },
			...problems(401, 429, "bound_key"),
		},
	}),
	async (c) => {
		const { account, credential } = c.var.caller;
		const ruled = unwrapForCaller(
			c,
			await account.ruleAutoTopUp(credential, null),
		);
		return c.json(autoTopUpWire(ruled.autoTopUp), 200);
	},
);

const autoTopUpWire = ({
	rule,
	hasCard,
	status,
	charged,
}: AutoTopUpView): z.infer<typeof AutoTopUp> => ({
	object: "auto_top_up",
	status,
	below: rule?.below ?? null,
	amount: rule?.amount ?? null,
	monthly_cap: rule?.monthlyCap ?? null,
	charged,
	card_saved: hasCard,
});
