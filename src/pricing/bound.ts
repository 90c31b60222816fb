/**
 * How long the prompt of a conversation can be, without a tokenizer: at most, which is what a job's
 * hold pays for, and at least.
 */
import { priceOf } from "./bill.ts";
import type { Rates } from "./prices.ts";

/**
 * The tokens that a prompt template writes around what callers send, at most
 * (gpu-worker/minigpt4/templates.py). test/fixtures/tokens/templates.json holds them to the
 * tokenizers.
 */
export interface TemplateTokens {
	/** Once, with the opening of the answer. */
	conversation: number;
	/** Once more, unless the conversation is a single message of the user's. */
	chat: number;
	/** Around each message. */
	message: Readonly<Record<"system" | "user" | "assistant", number>>;
	/** Around each image, beside the tokens of the image itself. */
	image: number;
	/** Before each text. */
	text: number;
}

/** What of a model decides how long a prompt becomes. */
export interface PromptModel {
	/** The most tokens of prompt, images and answer together. */
	contextLength: number;
	/** The tokens that one image takes in the prompt. */
	imageTokens: number;
	template: TemplateTokens;
	/** The UTF-8 bytes of its longest token. */
	longestToken: number;
	/** The least number of tokens that its tokenizer makes of the text. */
	leastTokens: (text: string) => number;
}

/**
 * The bytes of the sentence that a worker may write behind an image, with the text that it read in
 * it: at most 1,000 bytes of text, in 40 quoted lines (docs/worker-protocol.md).
 */
export const PICTURE_TEXT_BYTES = 1_181;

type Messages = readonly {
	role: keyof TemplateTokens["message"];
	content: readonly ({ type: "image" } | { type: "text"; text: string })[];
}[];

const utf8 = new TextEncoder();

/**
 * The tokens of a prompt: template, images and texts.
 * @param tokensOf counts those of a text
 */
export function promptTokens(
	{ imageTokens, template }: PromptModel,
	messages: Messages,
	tokensOf: (text: string) => number,
): number {
	const isAlone = messages.length === 1 && messages[0]?.role === "user";
	let tokens = template.conversation + (isAlone ? 0 : template.chat);
	for (const { role, content } of messages) {
		tokens += template.message[role];
		for (const part of content)
			tokens +=
				part.type === "image"
					? imageTokens + template.image
					: tokensOf(part.text) + template.text;
	}
	return tokens;
}

/**
 * The most tokens that the prompt has: no tokenizer of the family makes more tokens of a text than
 * it has UTF-8 bytes, and a worker takes no prompt that is longer than the model's context.
 * @param unwritten tokens of an answer of the model's that is to be read as one more message
 */
export function mostPromptTokens(
	model: PromptModel,
	messages: Messages,
	unwritten = 0,
): number {
	const { contextLength, template, longestToken } = model;
	let tokens = promptTokens(
		model,
		messages,
		(text) => utf8.encode(text).length,
	);
	for (const { content } of messages)
		for (const { type } of content)
			if (type === "image") tokens += PICTURE_TEXT_BYTES + template.text;
	if (unwritten > 0)
		tokens +=
			template.message.assistant + template.text + unwritten * longestToken;
	return Math.min(tokens, contextLength);
}

/**
 * The fewest tokens that the prompt has. Only what a worker never drops counts: images, system
 * messages and the last message (docs/worker-protocol.md).
 */
export function leastPromptTokens(
	{ imageTokens, leastTokens }: PromptModel,
	messages: Messages,
): number {
	let tokens = 0;
	for (const [n, { role, content }] of messages.entries())
		for (const part of content)
			if (part.type === "image") tokens += imageTokens;
			else if (role === "system" || n === messages.length - 1)
				tokens += leastTokens(part.text);
	return tokens;
}

/** The size of a job that has not run. */
export interface JobSize {
	prompt: { least: number; most: number };
	images: number;
	/** The most that it may write. */
	outputTokens: number;
}

/** What a job may cost at most, whatever its prompt and its answer become. */
export const mostPrice = (rates: Rates, size: JobSize): number =>
	priceOf(rates, {
		prompt_tokens: size.prompt.most,
		output_tokens: size.outputTokens,
		images: size.images,
	});

/** What a job costs at least, if it answers one token. */
export const leastPrice = (rates: Rates, size: JobSize): number =>
	priceOf(rates, {
		prompt_tokens: size.prompt.least,
		output_tokens: 1,
		images: size.images,
	});
