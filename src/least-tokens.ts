/**
 * How many tokens a text is at least, whatever the tokenizer merges: what does not fit by this count never fits. The text
 * is cut where no token of the vocabulary reaches across, and what lies between is divided by the longest token;
 * test/least-tokens.test.ts holds the counts to the tokenizers.
 */

export type LeastTokens = (text: string) => number;

const utf8 = new TextEncoder();

/** In bytes. */
const LONGEST_OF_SMOLLM2 = 81;
/** SmolLM2 takes digits one by one, and the rest in GPT-2's pieces; it merges within a piece only. */
const PIECE_OF_SMOLLM2 =
	/'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;

export const leastTokensOfSmolLM2: LeastTokens = (text) => {
	let tokens = 0;
	for (const part of text.split(/(\p{N})/u))
		if (/^\p{N}$/u.test(part)) tokens++;
		else
			for (const [piece] of part.matchAll(PIECE_OF_SMOLLM2))
				tokens += Math.ceil(utf8.encode(piece).length / LONGEST_OF_SMOLLM2);
	return tokens;
};

/** In characters, and in bytes. */
const LONGEST_OF_LLAMA = { characters: 16, bytes: 27 };
/**
 * In LLaMA's vocabulary digits and line breaks stand alone, letters do not mix with signs, and after anything but a space
 * no space follows within a token.
 */
const PIECE_OF_LLAMA = /[0-9\n]| *[\p{L}\p{M}]+| *[^\p{L}\p{M}0-9\n ]+| +/gu;

export const leastTokensOfLlama: LeastTokens = (text) => {
	const { characters, bytes } = LONGEST_OF_LLAMA;
	let tokens = 0;
	for (const [piece] of stripped(text).matchAll(PIECE_OF_LLAMA))
		tokens += Math.ceil(
			Math.max(
				[...piece].length / characters,
				utf8.encode(piece).length / bytes,
			),
		);
	return tokens;
};

/** Without ASCII whitespace at both ends: the family's templates drop it. */
function stripped(text: string): string {
	const space = " \t\n\r\v\f";
	let from = 0;
	let to = text.length;
	while (from < to && space.includes(text[from] as string)) from++;
	while (from < to && space.includes(text[to - 1] as string)) to--;
	return text.slice(from, to);
}
