/** Topping up. */
import { z } from "@hono/zod-openapi";

const CENT = 10_000;

export const TopUpRequest = z
	.strictObject({
		amount: z
			.int()
			.min(1_000_000)
			.max(10_000_000_000)
			.refine((amount) => amount % CENT === 0, {
				message: "must be whole cents: a multiple of 10000",
			})
			.openapi({
				description: "Micro-USD, whole cents: 1 to 10,000 USD",
				multipleOf: CENT,
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
