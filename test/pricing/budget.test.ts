import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { priceOf } from "../../src/pricing/bill.ts";
import { tokensWithin } from "../../src/pricing/budget.ts";
import { MAX_RATE } from "../../src/pricing/prices.ts";
import { ratesFor, usages } from "../support/prices.ts";

describe("the tokens that a budget pays", () => {
	it("cost no more than the budget, and one token more does", () => {
		fc.assert(
			fc.property(
				fc.oneof(ratesFor(10_000_000), ratesFor(MAX_RATE)),
				usages,
				fc.oneof(fc.nat(2_000), fc.nat(2_000_000_000)),
				(rates, usage, budget) => {
					const tokens = tokensWithin(budget, rates, usage);
					const price = (output_tokens: number) =>
						priceOf(rates, { ...usage, output_tokens });
					if (tokens < 0) expect(price(0)).toBeGreaterThan(budget);
					else if (tokens === Number.POSITIVE_INFINITY) {
						expect(rates.output_tokens).toBe(0);
						expect(price(0)).toBeLessThanOrEqual(budget);
					} else {
						expect(Number.isSafeInteger(tokens)).toBe(true);
						// Beyond this no job goes, and no price is exact.
						if (tokens > 8_192) return;
						expect(price(tokens)).toBeLessThanOrEqual(budget);
						expect(price(tokens + 1)).toBeGreaterThan(budget);
					}
				},
			),
			{ numRuns: 1_000 },
		);
	});

	it("are no more than a budget beyond all counting pays exactly", () => {
		const rates = { prompt_tokens: 1, output_tokens: 1_000_000, images: 1 };
		const usage = { prompt_tokens: 10, images: 1 };
		expect(tokensWithin(Number.MAX_SAFE_INTEGER, rates, usage)).toBeGreaterThan(
			1_000_000_000,
		);
	});
});
