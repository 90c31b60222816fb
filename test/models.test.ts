import { describe, expect, it } from "vitest";
import { MODELS } from "../src/models.ts";
import vectors from "./fixtures/tokens/nano.json";

describe("the least number of tokens", () => {
	it.each(vectors.texts)(
		"is never above what the tokenizer makes: $text, $times times",
		({ text, times, tokens }) => {
			const least = MODELS.nano?.leastTokens(text.repeat(times)) ?? 0;
			expect(least).toBeGreaterThan(0);
			expect(least).toBeLessThanOrEqual(tokens);
		},
	);

	it("is near what the tokenizer makes of plain words", () => {
		const [{ text, times, tokens }] = vectors.texts as [
			(typeof vectors.texts)[number],
		];
		const least = MODELS.nano?.leastTokens(text.repeat(times)) ?? 0;
		expect(least).toBeGreaterThan(tokens * 0.8);
	});
});
