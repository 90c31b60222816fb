/** What a job is going to cost, before it runs: the most that it costs, and what one expects. */
import type { Usage } from "./bill.ts";
import { type PromptModel, promptTokens } from "./bound.ts";
import type { Item, Prices } from "./prices.ts";

/** For how long a quote may be presented. */
export const QUOTE_VALID_MS = 15 * 60_000;

/**
 * Who counted the prompt's tokens for the expected price: the model's own `tokenizer`, nobody (an
 * `estimate` by the length of the text), or the `caller`, who sent counts and no request.
 */
export const COUNTED_BY = ["tokenizer", "estimate", "caller"] as const;
export type CountedBy = (typeof COUNTED_BY)[number];

/** What a quote promises, and to which job: all that is checked where a job presents it. */
export interface Quote {
	/** Random. A quote is for one job: the first that presents this id. */
	id: string;
	model: string;
	/** Under which the job is admitted, whatever the table says by then. */
	prices: Prices;
	/** Micro-USD: the most that the job costs. */
	maximum: number;
	/** SHA-256 of the job, hex. Null where counts were quoted: any job of the model may have it. */
	jobHash: string | null;
	/** Milliseconds since 1970: from then on no job may present it. */
	expiresAt: number;
}

const RATES: readonly Item[] = ["prompt_tokens", "output_tokens", "images"];

/** A quote as text, with its members in a fixed order. */
export const writeQuote = (quote: Quote): string =>
	JSON.stringify([
		quote.id,
		quote.model,
		quote.prices.version,
		...RATES.map((item) => quote.prices.rates[item]),
		quote.maximum,
		quote.jobHash,
		quote.expiresAt,
	]);

/** @param text of `writeQuote`, and of nobody else: nothing of it is checked */
export function parseQuote(text: string): Quote {
	const [id, model, version, prompt, output, images, ...rest] =
		JSON.parse(text);
	const [maximum, jobHash, expiresAt] = rest;
	const rates = { prompt_tokens: prompt, output_tokens: output, images };
	const prices = { version, rates };
	return { id, model, prices, maximum, jobHash, expiresAt };
}

/** Whether a job may no longer present it. */
export const isExpired = (
	{ expiresAt }: Pick<Quote, "expiresAt">,
	now: number,
): boolean => now >= expiresAt;

/** English has about four bytes a token in every tokenizer of the family. */
const BYTES_PER_TOKEN = 4;

const utf8 = new TextEncoder();

/** About how many tokens a prompt has, where no worker counts them. */
export const estimatePromptTokens = (
	model: PromptModel,
	messages: Parameters<typeof promptTokens>[1],
): number =>
	promptTokens(model, messages, (text) =>
		Math.ceil(utf8.encode(text).length / BYTES_PER_TOKEN),
	);

/**
 * The usage that one expects of a job. A worker drops the oldest text of a prompt that leaves no
 * room for the answer, and keeps at most a quarter of the context free (docs/worker-protocol.md).
 * @param promptTokens of the whole conversation
 * @param usualTokens of an answer of this kind, where nothing cuts it
 * @param maxTokens that the job may write
 */
export function expectedUsage(
	{ contextLength }: Pick<PromptModel, "contextLength">,
	sizes: {
		promptTokens: number;
		usualTokens: number;
		maxTokens: number;
		images: number;
	},
): Usage {
	const { promptTokens, usualTokens, maxTokens, images } = sizes;
	const room = Math.min(maxTokens, Math.floor(contextLength / 4));
	return {
		prompt_tokens: Math.min(promptTokens, contextLength - room),
		output_tokens: Math.min(usualTokens, maxTokens),
		images,
	};
}
