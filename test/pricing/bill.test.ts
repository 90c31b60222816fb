import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { billOf, priceOf, type Usage } from "../../src/pricing/bill.ts";
import {
	type Item,
	MAX_RATE,
	PER,
	PRICE_TABLE,
	type Rates,
} from "../../src/pricing/prices.ts";
import { settle } from "../../src/pricing/settle.ts";
import { ratesFor, usages } from "../support/prices.ts";

/** In millionths of a micro-USD, by big integers. */
const exact = (rates: Rates, usage: Usage): bigint =>
	(Object.keys(PER) as Item[]).reduce(
		(sum, item) =>
			sum +
			(BigInt(usage[item]) * BigInt(rates[item]) * 1_000_000n) /
				BigInt(PER[item]),
		0n,
	);

describe("a bill", () => {
	it("is the sum of its parts, exact, rounded up once to the next micro-USD", () => {
		fc.assert(
			fc.property(ratesFor(MAX_RATE), usages, (rates, usage) => {
				const { price, parts } = billOf(rates, usage);
				const sum = exact(rates, usage);
				expect(BigInt(price)).toBe((sum + 999_999n) / 1_000_000n);
				expect(priceOf(rates, usage)).toBe(price);
				// As a caller adds them up.
				const amounts = parts.map(({ amount }) => {
					expect(amount).toMatch(/^(0|[1-9]\d*)\.\d{6}$/);
					return BigInt(amount.replace(".", ""));
				});
				expect(amounts.reduce((a, b) => a + b, 0n)).toBe(sum);
				for (const { item, quantity, rate, per } of parts)
					expect([quantity, rate, per]).toEqual([
						usage[item],
						rates[item],
						PER[item],
					]);
			}),
		);
	});

	it("says for each item how much of it there was, at which rate, and what that makes", () => {
		const usage = { prompt_tokens: 94, output_tokens: 11, images: 1 };
		expect(billOf(PRICE_TABLE.rates.nano, usage)).toEqual({
			price: 107,
			parts: [
				{
					item: "prompt_tokens",
					quantity: 94,
					rate: 50_000,
					per: 1_000_000,
					amount: "4.700000",
				},
				{
					item: "output_tokens",
					quantity: 11,
					rate: 200_000,
					per: 1_000_000,
					amount: "2.200000",
				},
				{
					item: "images",
					quantity: 1,
					rate: 100_000,
					per: 1_000,
					amount: "100.000000",
				},
			],
		});
	});

	it("of three parts that each have a fraction is not rounded part by part", () => {
		const rates = {
			prompt_tokens: 300_000,
			output_tokens: 300_000,
			images: 300,
		};
		const one = { prompt_tokens: 1, output_tokens: 1, images: 1 };
		expect(billOf(rates, one).price).toBe(1);
		expect(billOf(rates, { ...one, images: 2 }).price).toBe(2);
	});

	it("never grows less with more of anything", () => {
		const item = fc.constantFrom(...(Object.keys(PER) as Item[]));
		fc.assert(
			fc.property(ratesFor(MAX_RATE), usages, item, (rates, usage, item) => {
				const more = { ...usage, [item]: usage[item] + 1 };
				expect(priceOf(rates, more)).toBeGreaterThanOrEqual(
					priceOf(rates, usage),
				);
			}),
		);
	});

	it("is made of no fraction, no negative quantity, and nothing too large to count", () => {
		const { nano } = PRICE_TABLE.rates;
		const usage = { prompt_tokens: 1, output_tokens: 1, images: 1 };
		for (const images of [0.5, -1, Number.NaN, 2 ** 53])
			expect(() => billOf(nano, { ...usage, images })).toThrow(RangeError);
	});
});

describe("the end of a job", () => {
	const { nano } = PRICE_TABLE.rates;
	const usage = { prompt_tokens: 94, output_tokens: 11, images: 1 };
	const nothing = { ...usage, output_tokens: 0 };
	it.each([
		["succeeded", usage, 107],
		["succeeded", nothing, 105],
		["canceled", usage, 107],
		["canceled", nothing, 0],
		["failed", usage, 0],
		["expired", usage, 0],
	] as const)("%s after %o costs %i", (end, usage, price) => {
		const bill = settle(end, nano, usage);
		expect(bill.price).toBe(price);
		expect(bill.parts).toHaveLength(price === 0 ? 0 : 3);
	});
});
