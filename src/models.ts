/** The models this deployment offers, with the facts that admission needs. */

export interface Model {
	id: string;
	/** Tokens the model reads and writes in one call. */
	contextLength: number;
	/** Tokens one image takes in the prompt. */
	imageTokens: number;
	maxImages: number;
	/** How many tokens a text is at least, whatever the tokenizer merges: what does not fit by this count never fits. */
	leastTokens: (text: string) => number;
}

/** No token of SmolLM2's vocabulary is longer, in bytes. */
const LONGEST_TOKEN = 81;
/** SmolLM2 takes digits one by one, and the rest in GPT-2's pieces; it merges within a piece only. */
const PIECE =
	/'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;
const utf8 = new TextEncoder();

function leastTokens(text: string): number {
	let tokens = 0;
	for (const part of text.split(/(\p{N})/u))
		if (/^\p{N}$/u.test(part)) tokens++;
		else
			for (const [piece] of part.matchAll(PIECE))
				tokens += Math.ceil(utf8.encode(piece).length / LONGEST_TOKEN);
	return tokens;
}

export const MODELS: Readonly<Record<string, Model>> = {
	nano: {
		id: "nano",
		contextLength: 2048,
		imageTokens: 8,
		maxImages: 4,
		leastTokens,
	},
};
