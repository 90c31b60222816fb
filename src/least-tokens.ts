/**
 * Lower bounds on the number of tokens in a text. A request over the model's context by this count
 * cannot fit, so the edge refuses it without a tokenizer.
 *
 * The text is split where no token of the vocabulary crosses, and each piece counts as if it
 * consisted of the longest token. test/least-tokens.test.ts compares the bounds with the
 * tokenizers.
 */

/** The least number of tokens that a tokenizer makes of the text. */
export type LeastTokens = (text: string) => number;

const utf8 = new TextEncoder();

export const LONGEST_SMOLLM2_TOKEN_BYTES = 81;
/**
 * SmolLM2 splits digits one by one and other text as GPT-2 does, and never merges across these
 * pieces.
 */
const SMOLLM2_PIECE =
	/'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;

export const leastTokensOfSmolLM2: LeastTokens = (text) => {
	let tokens = 0;
	for (const part of text.split(/(\p{N})/u))
		if (/^\p{N}$/u.test(part)) tokens++;
		else
			for (const [piece] of part.matchAll(SMOLLM2_PIECE))
				tokens += Math.ceil(
					utf8.encode(piece).length / LONGEST_SMOLLM2_TOKEN_BYTES,
				);
	return tokens;
};

export const LONGEST_QWEN2_TOKEN_BYTES = 128;
/** Unicode's white space, which JavaScript's `\s` is not. */
const SPACE =
	"\\t-\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
/** Qwen2 never merges across these pieces, in which each digit is one. */
const QWEN2_PIECE = new RegExp(
	[
		"'(?:[sStTmMdD]|[rR][eE]|[vV][eE]|[lL][lL])",
		"[^\\r\\n\\p{L}\\p{N}]?\\p{L}+",
		"\\p{N}",
		` ?[^${SPACE}\\p{L}\\p{N}]+[\\r\\n]*`,
		`[${SPACE}]*[\\r\\n]+`,
		`[${SPACE}]+(?![^${SPACE}])`,
		`[${SPACE}]+`,
	].join("|"),
	"gu",
);

export const leastTokensOfQwen2: LeastTokens = (text) => {
	let tokens = 0;
	for (const [piece] of text.normalize("NFC").matchAll(QWEN2_PIECE))
		tokens += Math.ceil(utf8.encode(piece).length / LONGEST_QWEN2_TOKEN_BYTES);
	return tokens;
};

export const LONGEST_LLAMA_TOKEN = { characters: 16, bytes: 27 };
/**
 * Tokens of LLaMA's vocabulary hold a digit or a line break only alone, letters and signs only
 * apart, and spaces only at their start.
 */
const LLAMA_PIECE = /[0-9\n]| *[\p{L}\p{M}]+| *[^\p{L}\p{M}0-9\n ]+| +/gu;

export const leastTokensOfLlama: LeastTokens = (text) => {
	const { characters, bytes } = LONGEST_LLAMA_TOKEN;
	let tokens = 0;
	for (const [piece] of trimAscii(text).matchAll(LLAMA_PIECE))
		tokens += Math.ceil(
			Math.max(
				[...piece].length / characters,
				utf8.encode(piece).length / bytes,
			),
		);
	return tokens;
};

/** Removes ASCII whitespace at both ends, as the prompt templates of the LLaMA family do. */
function trimAscii(text: string): string {
	const space = " \t\n\r\v\f";
	let from = 0;
	let to = text.length;
	while (from < to && space.includes(text[from] as string)) from++;
	while (from < to && space.includes(text[to - 1] as string)) to--;
	return text.slice(from, to);
}
