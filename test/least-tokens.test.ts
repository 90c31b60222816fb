import fc from "fast-check";
import llama from "llama-tokenizer-js";
import { describe, expect, it } from "vitest";
import {
	leastTokensOfLlama,
	leastTokensOfQwen2,
	leastTokensOfSmolLM2,
} from "../src/least-tokens.ts";
import vectors from "./fixtures/tokens/llama.json";
import mini from "./fixtures/tokens/mini.json";
import nano from "./fixtures/tokens/nano.json";

describe.each([
	{ tokenizer: "SmolLM2", least: leastTokensOfSmolLM2, texts: nano.texts },
	{ tokenizer: "Qwen2", least: leastTokensOfQwen2, texts: mini.texts },
])("the least number of $tokenizer's tokens", ({ least, texts }) => {
	it.each(texts)(
		"is never above what the tokenizer makes: $text, $times times",
		({ text, times, tokens }) => {
			const bound = least(text.repeat(times));
			expect(bound).toBeGreaterThan(0);
			expect(bound).toBeLessThanOrEqual(tokens);
		},
	);

	it("is close to the tokenizer's count for plain words", () => {
		const [{ text, times, tokens }] = texts as [(typeof texts)[number]];
		expect(least(text.repeat(times))).toBeGreaterThan(tokens * 0.8);
	});
});

describe("the least number of LLaMA's tokens", () => {
	it("is one for each token of the vocabulary, so that no split runs through a token", () => {
		const pieces = llama.vocabById
			.slice(259) // after control tokens and bytes
			.map((token) => token.replaceAll("▁", " "));
		expect(pieces.length).toBe(31_741);
		// Between four other tokens, because spaces at both ends are trimmed.
		const least = (piece: string) => leastTokensOfLlama(`a\n${piece}\na`) - 4;
		expect(pieces.filter((piece) => least(piece) !== 1)).toEqual([]);
	});

	it("is never above the tokenizer's count for any text", () => {
		const texts = fc.oneof(
			fc.string({ unit: "binary", maxLength: 200 }),
			fc
				.array(
					fc.oneof(
						fc.constantFrom(
							..." \n\r\t.,;'\"(){}<>#*-=/_0123456789aéñжя日本の한가̈".split(""),
						),
						fc.constantFrom(
							"    ",
							"  word",
							"addEventListener",
							" Einzelnachweise",
							"----------------",
							"\u00a0",
							"🎉",
							"');\r\n",
							" университета",
						),
					),
					{ maxLength: 60 },
				)
				.map((pieces) => pieces.join("")),
		);
		fc.assert(
			fc.property(texts, (text) => {
				const made = llama.encode(text, false, true).length;
				expect(leastTokensOfLlama(text)).toBeLessThanOrEqual(made);
			}),
			{ numRuns: 2_000 },
		);
	});

	it.each(vectors.texts)(
		"is at most the prompt's count, and closer to it than bytes alone: $text, $times times",
		({ text, times, tokens, at_least }) => {
			const least = leastTokensOfLlama(text.repeat(times));
			expect(least).toBeLessThanOrEqual(tokens);
			expect(least).toBeGreaterThanOrEqual(at_least);
		},
	);

	it("is close to the prompt's count for plain words", () => {
		const [{ text, times, tokens }] = vectors.texts as [
			(typeof vectors.texts)[number],
		];
		const least = leastTokensOfLlama(text.repeat(times));
		expect(least).toBeGreaterThan(tokens * 0.7);
	});

	it("takes time linear in the prompt", () => {
		for (const text of [
			"a ",
			" 1",
			"a",
			"1 \n",
			"\u0301",
			"😀",
			`a${" ".repeat(100)}`,
		]) {
			// Twenty times the longest prompt: quadratic time would exceed the test's limit.
			expect(
				leastTokensOfLlama(text.repeat((20 * 32_768) / text.length)),
			).toBeGreaterThan(10_000);
		}
	});
});
