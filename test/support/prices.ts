/** Prices that make a test's sums easy. */
import fc from "fast-check";
import { billOf, type PricePart, type Usage } from "../../src/pricing/bill.ts";
import type { Prices, Rates } from "../../src/pricing/prices.ts";

/** Each token and each image costs one micro-USD, as in test/vitest.config.ts. */
export const ONE_EACH: Prices = {
	version: "test",
	rates: { prompt_tokens: 1_000_000, output_tokens: 1_000_000, images: 1_000 },
};

/** The bill of so many tokens and images at one micro-USD each. */
export const oneEach = (usage: Partial<Usage>) => {
	const all = { prompt_tokens: 0, output_tokens: 0, images: 0, ...usage };
	const { price, parts } = billOf(ONE_EACH.rates, all);
	return { price, price_parts: parts };
};

/** What parts add up to, rounded up: a job's price, as a caller checks it. */
export const sumOf = (parts: readonly Pick<PricePart, "amount">[]): number =>
	Number(
		(parts.reduce(
			(sum, { amount }) => sum + BigInt(amount.replace(".", "")),
			0n,
		) +
			999_999n) /
			1_000_000n,
	);

/** Rates up to `most`, often small ones and often 0. */
export const ratesFor = (most: number) => {
	const rate = fc.oneof(
		fc.constant(0),
		fc.integer({ min: 1, max: 10 }),
		fc.integer({ min: 1, max: most }),
	);
	return fc.record(
		{ prompt_tokens: rate, output_tokens: rate, images: rate },
		// Others do not go through an RPC.
		{ noNullPrototype: true },
	) satisfies fc.Arbitrary<Rates>;
};

/** What jobs of the largest context use, and less. */
export const usages: fc.Arbitrary<Usage> = fc.record({
	prompt_tokens: fc.nat(4_096),
	output_tokens: fc.nat(2_048),
	images: fc.nat(4),
});
