import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Message } from "../../src/contract/job.ts";
import { MODEL_IDS, MODELS } from "../../src/models.ts";
import { priceOf } from "../../src/pricing/bill.ts";
import { mostPrice, mostPromptTokens } from "../../src/pricing/bound.ts";
import {
	estimatePromptTokens,
	expectedUsage,
	isExpired,
	parseQuote,
	type Quote,
	writeQuote,
} from "../../src/pricing/quote.ts";
import { TASKS, type Task } from "../../src/tasks.ts";
import { usualTokens } from "../../src/usual-tokens.ts";
import prompts from "../fixtures/tokens/prompts.json";
import { ratesFor } from "../support/prices.ts";

const hash = fc
	.array(fc.constantFrom(..."0123456789abcdef"), {
		minLength: 64,
		maxLength: 64,
	})
	.map((digits) => digits.join(""));
const quotes: fc.Arbitrary<Quote> = fc.record({
	id: fc.string({ minLength: 1, maxLength: 16 }),
	model: fc.constantFrom(...MODEL_IDS),
	prices: fc.record({
		version: fc.string({ maxLength: 64 }),
		rates: ratesFor(100_000_000_000),
	}),
	maximum: fc.nat(),
	jobHash: fc.option(hash),
	expiresAt: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
});
const model = fc.constantFrom(...MODEL_IDS).map((id) => MODELS[id]);
const part: fc.Arbitrary<Message["content"][number]> = fc.oneof(
	fc.constant({ type: "image" as const }),
	fc.string({ unit: "grapheme", maxLength: 300 }).map((text) => ({
		type: "text" as const,
		text,
	})),
);
const conversations: fc.Arbitrary<Message[]> = fc.array(
	fc.record({
		role: fc.constantFrom("user" as const, "assistant" as const),
		content: fc.array(part, { maxLength: 4 }),
	}),
	{ minLength: 1, maxLength: 4 },
);

describe("a quote", () => {
	it("is the same after it was written", () => {
		fc.assert(
			fc.property(quotes, (quote) => {
				expect(parseQuote(writeQuote(quote))).toEqual(quote);
			}),
		);
	});

	it("may be presented until the millisecond before it expires", () => {
		fc.assert(
			fc.property(fc.nat(), (expiresAt) => {
				expect(isExpired({ expiresAt }, expiresAt - 1)).toBe(false);
				expect(isExpired({ expiresAt }, expiresAt)).toBe(true);
			}),
		);
	});

	it("has a maximum that no usage within the bounds exceeds", () => {
		const share = fc.double({ min: 0, max: 1, noNaN: true });
		fc.assert(
			fc.property(
				model,
				conversations,
				ratesFor(5_000_000_000),
				fc.integer({ min: 1, max: 2048 }),
				share,
				share,
				(model, messages, rates, outputTokens, prompt, output) => {
					const most = mostPromptTokens(model, messages);
					const size = { prompt: { least: 0, most }, images: 4, outputTokens };
					const price = priceOf(rates, {
						prompt_tokens: Math.floor(most * prompt),
						output_tokens: Math.floor(outputTokens * output),
						images: 4,
					});
					expect(price).toBeLessThanOrEqual(mostPrice(rates, size));
				},
			),
			{ numRuns: 500 },
		);
	});
});

describe("the expected price", () => {
	it("rests on a prompt that is never longer than the longest", () => {
		fc.assert(
			fc.property(model, conversations, (model, messages) => {
				const { prompt_tokens } = expectedUsage(model, {
					promptTokens: estimatePromptTokens(model, messages),
					usualTokens: 1,
					maxTokens: 2048,
					images: 0,
				});
				expect(prompt_tokens).toBeLessThanOrEqual(
					mostPromptTokens(model, messages),
				);
			}),
		);
	});

	it.each(MODEL_IDS)("of %s is about right without a worker", (id) => {
		const english = prompts.conversations.filter(({ messages }) =>
			/^(?=.*[a-z])[ -~]{20,}$/.test(
				messages
					.flatMap(({ content }) => content)
					.map((each) => ("text" in each ? each.text : ""))
					.join(""),
			),
		);
		expect(english.length).toBeGreaterThan(2);
		for (const { messages, prompt_tokens } of english) {
			const estimate = estimatePromptTokens(MODELS[id], messages as Message[]);
			const ratio = estimate / prompt_tokens[id];
			expect(ratio).toBeGreaterThan(0.5);
			expect(ratio).toBeLessThan(2);
		}
	});

	it("rests on a prompt that was cut to leave room for the answer", () => {
		const { nano } = MODELS;
		const sizes = { usualTokens: 8, images: 0 };
		for (const [promptTokens, maxTokens, expected] of [
			[100, 300, 100],
			[9_999, 300, 2048 - 300],
			[9_999, 2_000, 2048 - 512],
		] as const)
			expect(
				expectedUsage(nano, { ...sizes, promptTokens, maxTokens })
					.prompt_tokens,
			).toBe(expected);
	});

	it("rests on the usual length of the answer, or on `max_tokens` where that is less", () => {
		const { nano } = MODELS;
		const sizes = { promptTokens: 1, usualTokens: 157, images: 0 };
		for (const [maxTokens, expected] of [
			[400, 157],
			[20, 20],
		] as const)
			expect(expectedUsage(nano, { ...sizes, maxTokens }).output_tokens).toBe(
				expected,
			);
	});

	it.each(MODEL_IDS)("knows a usual length of each answer of %s", (id) => {
		for (const task of [...(Object.keys(TASKS) as Task[]), null]) {
			const usual = usualTokens(id, task);
			expect(usual).toBeGreaterThan(0);
			expect(usual).toBeLessThanOrEqual(task ? TASKS[task].maxTokens : 300);
		}
	});
});
