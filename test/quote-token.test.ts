import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { issueKey, newAccountId } from "../src/api-key.ts";
import type { Quote } from "../src/pricing/quote.ts";
import { newQuoteId, readQuote, signQuote } from "../src/quote-token.ts";
import { ONE_EACH } from "./support/prices.ts";

const KEY = "a-server-key-of-32-characters-000";
const OTHER = "a-server-key-of-32-characters-111";
const account = newAccountId();
const quote: Quote = {
	id: newQuoteId(),
	model: "nano",
	prices: ONE_EACH,
	maximum: 1_513,
	jobHash: "0123456789abcdef".repeat(4),
	expiresAt: 1_795_427_100_000,
};
const token = await signQuote(KEY, account, quote);
const read = (text: string, of = account, keys = [KEY]) =>
	readQuote(keys, of, text);

describe("a quote's token", () => {
	it("is short, fits a URL and says its version", () => {
		expect(token).toMatch(/^q1\.[\w-]+\.[\w-]{22}$/);
		expect(token.length).toBeLessThan(320);
	});

	it("carries the whole quote, and needs no storage", async () => {
		expect(await read(token)).toEqual(quote);
		const free = { ...quote, id: newQuoteId(), jobHash: null };
		expect(await read(await signQuote(KEY, account, free))).toEqual(free);
	});

	it("is nobody's once any byte of it changed", async () => {
		const signs = [..."ABCxyz019-_. =+/"];
		for (let at = 0; at < token.length; at++)
			for (const sign of signs) {
				if (sign === token[at]) continue;
				const changed = token.slice(0, at) + sign + token.slice(at + 1);
				expect(await read(changed)).toBe(null);
			}
		for (let end = 0; end < token.length; end++)
			expect(await read(token.slice(0, end))).toBe(null);
		for (const more of ["A", "=", ".", "\n", " "])
			expect(await read(token + more)).toBe(null);
	});

	it("is no other account's, and no text of anybody's is one", async () => {
		expect(await read(token, newAccountId())).toBe(null);
		await fc.assert(
			fc.asyncProperty(fc.string(), async (text) => {
				expect(await read(text)).toBe(null);
				expect(await read(`q1.${text}.${"A".repeat(22)}`)).toBe(null);
			}),
		);
	});

	it("lives on while the server's keys are rotated, and not after", async () => {
		expect(await read(token, account, [OTHER, KEY])).toEqual(quote);
		expect(await read(token, account, [OTHER])).toBe(null);
	});

	it("is no API key, nor a key one", async () => {
		const { key } = await issueKey(KEY, account);
		expect(await read(key)).toBe(null);
	});
});
