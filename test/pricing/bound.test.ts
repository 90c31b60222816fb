import fc from "fast-check";
import llama from "llama-tokenizer-js";
import { describe, expect, it } from "vitest";
import type { Message } from "../../src/contract/job.ts";
import { MODEL_IDS, MODELS } from "../../src/models.ts";
import {
	leastPromptTokens,
	mostPrice,
	mostPromptTokens,
	PICTURE_TEXT_BYTES,
} from "../../src/pricing/bound.ts";
import { MAX_RATE } from "../../src/pricing/prices.ts";
import llamaTexts from "../fixtures/tokens/llama.json";
import miniTexts from "../fixtures/tokens/mini.json";
import nanoTexts from "../fixtures/tokens/nano.json";
import prompts from "../fixtures/tokens/prompts.json";

const user = (...content: Message["content"]): Message => ({
	role: "user",
	content,
});
const text = (text: string) => ({ type: "text" as const, text });
const image = { type: "image" as const };
const bytes = (text: string) => new TextEncoder().encode(text).length;

const HARD = [
	"\u2581",
	"###",
	"<Img>",
	"[INST]",
	"</s>",
	"<s>",
	"<0x41>",
	"\ufffd",
	"  ",
	"\n",
	"\t",
	"🎉",
	"日本",
	"e\u0301",
	"\u0958",
	"\0",
	"\u{50000}",
];

describe("the bounds of a prompt", () => {
	it.each(
		prompts.conversations.flatMap(({ messages, prompt_tokens }, n) =>
			MODEL_IDS.map((id) => [n, id, messages, prompt_tokens[id]] as const),
		),
	)("have conversation %i of %s between them", (_, id, messages, tokens) => {
		const conversation = messages as Message[];
		const most = mostPromptTokens(MODELS[id], conversation);
		expect(tokens).toBeLessThanOrEqual(most);
		expect(leastPromptTokens(MODELS[id], conversation)).toBeLessThanOrEqual(
			tokens,
		);
	});

	it.each(MODEL_IDS)(
		"are exact for %s but for its texts, and two tokens of its layout",
		(id) => {
			const [empty] = prompts.conversations;
			expect(empty?.messages).toEqual([user(text(""))]);
			const most = mostPromptTokens(MODELS[id], [user()]);
			expect(most - (empty?.prompt_tokens[id] ?? 0)).toBeLessThanOrEqual(2);
		},
	);

	it.each(MODEL_IDS)("of a prompt for %s never exceed its context", (id) => {
		const model = MODELS[id];
		const most = mostPromptTokens(model, [
			user(image, text("x".repeat(9_999))),
		]);
		expect(most).toBe(model.contextLength);
	});

	it("count what a worker may read in an image, as much as it may tell", () => {
		expect(PICTURE_TEXT_BYTES).toBe(prompts.picture_text_bytes);
		const { mini } = MODELS;
		const most = (content: Message["content"]) =>
			mostPromptTokens(mini, [user(...content)]);
		expect(most([image])).toBe(
			most([text("x".repeat(PICTURE_TEXT_BYTES))]) + mini.imageTokens + 1,
		);
	});

	it("count an answer that is not written yet by its longest tokens", () => {
		const { mini } = MODELS;
		const asked = [user(image, text("Describe it."))];
		const told = {
			role: "assistant" as const,
			content: [text("x".repeat(640))],
		};
		const then = user(text("Write a story."));
		expect(mostPromptTokens(mini, [...asked, then], 5)).toBe(
			mostPromptTokens(mini, [...asked, told, then]),
		);
	});
});

describe("no tokenizer of the family makes more tokens of a text than it has bytes", () => {
	it.each([
		...nanoTexts.texts.map((each) => ["nano", each, 0] as const),
		...miniTexts.texts.map((each) => ["mini", each, 0] as const),
		// LLaMA's put a space before a text.
		...llamaTexts.texts.map((each) => ["LLaMA", each, 1] as const),
	])("%s: %o", (_, { text, times, tokens }, space) => {
		expect(tokens).toBeLessThanOrEqual(bytes(text.repeat(times)) + space);
	});

	it("LLaMA's, for any text", () => {
		const hard = fc.constantFrom(...HARD);
		const texts = fc.oneof(
			fc.string({ unit: "binary", maxLength: 200 }),
			fc
				.array(fc.oneof(hard, fc.string({ unit: "grapheme", maxLength: 4 })), {
					maxLength: 40,
				})
				.map((parts) => parts.join("")),
		);
		fc.assert(
			fc.property(texts, (text) => {
				const made = llama.encode(text, false, true).length;
				expect(made).toBeLessThanOrEqual(bytes(text) + 1);
			}),
			{ numRuns: 2_000 },
		);
	});
});

describe("the price of a job that has not run", () => {
	it("is counted exactly at the highest rate, for the largest job of every model", () => {
		const rates = {
			prompt_tokens: MAX_RATE,
			output_tokens: MAX_RATE,
			images: MAX_RATE,
		};
		for (const id of MODEL_IDS) {
			const { contextLength, maxImages } = MODELS[id];
			const size = {
				prompt: { least: 0, most: contextLength },
				images: maxImages,
				outputTokens: contextLength,
			};
			expect(BigInt(mostPrice(rates, size))).toBe(
				(BigInt(MAX_RATE) *
					(BigInt(2 * contextLength) * 1_000n +
						BigInt(maxImages) * 1_000_000n)) /
					1_000_000_000n,
			);
		}
	});
});
