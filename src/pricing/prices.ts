/** The price table. */

/** What is paid for, and how many of it a rate is for. */
export const PER = {
	prompt_tokens: 1_000_000,
	output_tokens: 1_000_000,
	images: 1_000,
} as const;
export type Item = keyof typeof PER;

/** Integer micro-USD for `PER` of each item. */
export type Rates = Readonly<Record<Item, number>>;

/** The largest rate: with it, the price of every job of every model is computed exactly. */
export const MAX_RATE = 100_000_000_000;

/**
 * What a model costs. A job keeps the prices that it was admitted under, so that a change of the
 * table never touches it.
 */
export interface Prices {
	/** Names the table that has these rates. */
	version: string;
	rates: Rates;
}

const rates = (
	prompt_tokens: number,
	output_tokens: number,
	images: number,
): Rates => ({ prompt_tokens, output_tokens, images });

const OF_7B = rates(200_000, 800_000, 500_000);

/** The table of this release, by model. A deployment overrides it with `PRICES`. */
export const PRICE_TABLE = {
	version: "2026-12",
	rates: {
		mini: rates(100_000, 400_000, 200_000),
		nano: rates(50_000, 200_000, 100_000),
		"vicuna-7b": OF_7B,
		"llama2-7b": OF_7B,
		"vicuna-13b": rates(350_000, 1_400_000, 700_000),
	},
} as const;
