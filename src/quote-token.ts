/**
 * Quotes as callers hold them: `q1.<quote>.<tag>`. The tag is a truncated HMAC-SHA-256 of account
 * and quote under a server key, so that nothing is stored until a job presents the quote, and no
 * account can present another's. It is computed over the text, of which no byte may change.
 */
import { equalInConstantTime, hmac } from "./crypto.ts";
import { parseQuote, type Quote, writeQuote } from "./pricing/quote.ts";

const TOKEN = /^q1\.([\w-]{1,1024})\.([\w-]{22})$/;
const TAG_BYTES = 16;
const ALPHABET = "base64url";

/** The server keys tag API keys too, over texts without a colon: neither tag is ever the other. */
const tagOf = async (
	serverKey: string,
	account: string,
	quote: string,
): Promise<string> =>
	base64url(
		(await hmac(serverKey, `quote:q1:${account}:${quote}`)).slice(0, TAG_BYTES),
	);

export async function signQuote(
	serverKey: string,
	account: string,
	quote: Quote,
): Promise<string> {
	const text = base64url(new TextEncoder().encode(writeQuote(quote)));
	return `q1.${text}.${await tagOf(serverKey, account, text)}`;
}

/**
 * Reads a quote; null unless one of the server keys signed it for this account. Two server keys are
 * valid during a rotation.
 */
export async function readQuote(
	serverKeys: readonly string[],
	account: string,
	token: string,
): Promise<Quote | null> {
	const [, text, tag] = TOKEN.exec(token) ?? [];
	if (!text || !tag) return null;
	for (const serverKey of serverKeys)
		if (equalInConstantTime(tag, await tagOf(serverKey, account, text))) {
			const bytes = Uint8Array.fromBase64(text, { alphabet: ALPHABET });
			return parseQuote(new TextDecoder().decode(bytes));
		}
	return null;
}

export const newQuoteId = (): string =>
	base64url(crypto.getRandomValues(new Uint8Array(12)));

const base64url = (bytes: Uint8Array): string =>
	bytes.toBase64({ alphabet: ALPHABET, omitPadding: true });
