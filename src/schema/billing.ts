/** Topping up. */
import { z } from "@hono/zod-openapi";
import { AUTO_TOP_UP_STATUSES } from "../contract/auto-top-up.ts";

const CENT = 10_000;
const USD = 1_000_000;

/** What a card is charged at once. */
const Charge = z
	.int()
	.min(USD)
	.max(10_000 * USD)
	.refine((amount) => amount % CENT === 0, {
		message: "must be whole cents: a multiple of 10000",
	})
	.openapi({
		description: "Micro-USD, whole cents: 1 to 10,000 USD",
		multipleOf: CENT,
	});

export const TopUpRequest = z
	.strictObject({
		amount: Charge,
		save_card: z.boolean().default(false).openapi({
			description: "Keep the card for automatic top-ups",
		}),
	})
	.openapi("TopUpRequest", { example: { amount: 10_000_000 } });

export const TopUp = z
	.object({
		object: z.literal("top_up"),
		amount: z.int(),
		url: z.url().openapi({
			description:
				"The payment page. The credit is there as soon as the payment has arrived.",
		}),
	})
	.openapi("TopUp", {
		example: {
			object: "top_up",
			amount: 10_000_000,
			url: "https://checkout.stripe.com/c/pay/cs_test_a1",
		},
	});

const RULE = { below: 2_000_000, amount: 10_000_000, monthly_cap: 50_000_000 };

export const AutoTopUpRule = z
	.strictObject({
		below: z
			.int()
			.positive()
			.max(10_000 * USD)
			.openapi({
				description:
					"The card is charged where less than this is available. Micro-USD",
			}),
		amount: Charge,
		monthly_cap: z
			.int()
			.max(100_000 * USD)
			.openapi({
				description:
					"The most that the card is charged in a month of UTC, at least `amount`. Micro-USD",
			}),
	})
	.refine(({ amount, monthly_cap }) => monthly_cap >= amount, {
		path: ["monthly_cap"],
		message: "must be at least `amount`",
	})
	.openapi("AutoTopUpRule", { example: RULE });

export const AutoTopUp = z
	.object({
		object: z.literal("auto_top_up"),
		status: z.enum(AUTO_TOP_UP_STATUSES).openapi({
			description:
				"`capped`: another charge would pass the month's cap. `declined`: the card was refused; " +
				"it is charged again once the rule is set anew or a card is saved. `unclear`: the " +
				"payment provider did not say whether it charged; look there, then set the rule anew.",
		}),
		below: z.int().nullable(),
		amount: z.int().nullable(),
		monthly_cap: z.int().nullable(),
		charged: z.int().openapi({
			description:
				"What the card was charged in this month, and is being charged. Micro-USD",
		}),
		card_saved: z.boolean(),
	})
	.openapi("AutoTopUp", {
		example: {
			object: "auto_top_up",
			status: "ready",
			...RULE,
			charged: 20_000_000,
			card_saved: true,
		},
	});
