/** The models this deployment offers, with the facts that admission needs. */

export interface Model {
	id: string;
	/** Tokens the model reads and writes in one call. */
	contextLength: number;
	/** Tokens one image takes in the prompt. */
	imageTokens: number;
	maxImages: number;
	/** Longest token in bytes: text of n bytes is at least n / this many tokens, whatever the tokenizer does. */
	maxBytesPerToken: number;
}

export const MODELS: Readonly<Record<string, Model>> = {
	nano: {
		id: "nano",
		contextLength: 2048,
		imageTokens: 8,
		maxImages: 4,
		maxBytesPerToken: 81,
	},
};
