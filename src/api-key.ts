/**
 * API keys: `mg_live_<account>_<secret>_<tag>`.
 *
 * The account id is 80 random bits, the secret 256; the tag is a truncated HMAC-SHA-256 of both
 * under a server key. The Worker checks the tag first, so a forged or mistyped key calls no Durable
 * Object. The account id in the key names the Account object, so one RPC both authenticates and
 * admits. The Account stores only the secret's SHA-256.
 */
import { equalInConstantTime, hmac, sha256 } from "./crypto.ts";

const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";
const KEY =
	/^mg_live_([0-9a-hjkmnp-tv-z]{16})_([0-9a-hjkmnp-tv-z]{52})_([0-9a-hjkmnp-tv-z]{16})$/;
const TAG_BYTES = 10;

/** Crockford's base 32, lower case. */
export function base32(bytes: Uint8Array): string {
	let text = "";
	let bits = 0;
	let value = 0;
	for (const byte of bytes) {
		value = ((value << 8) | byte) & 0xfff;
		bits += 8;
		while (bits >= 5) {
			bits -= 5;
			text += ALPHABET[(value >> bits) & 31];
		}
	}
	if (bits > 0) text += ALPHABET[(value << (5 - bits)) & 31];
	return text;
}

export const newAccountId = (): string =>
	base32(crypto.getRandomValues(new Uint8Array(10)));

/** Whether a text has the form of an account id. */
export const isAccountId = (text: string): boolean =>
	/^[0-9a-hjkmnp-tv-z]{16}$/.test(text);

const tagOf = async (
	serverKey: string,
	account: string,
	secret: string,
): Promise<string> =>
	base32((await hmac(serverKey, `${account}_${secret}`)).slice(0, TAG_BYTES));

/** Makes a new key for an account. Its secret exists in clear text only in this result. */
export async function issueKey(
	serverKey: string,
	account: string,
): Promise<{ key: string; secretHash: string }> {
	const secret = base32(crypto.getRandomValues(new Uint8Array(32)));
	const tag = await tagOf(serverKey, account, secret);
	return {
		key: `mg_live_${account}_${secret}_${tag}`,
		secretHash: await sha256(secret),
	};
}

/**
 * Reads the account id and the secret's hash from a key; null unless one of the server keys signed
 * it. Two server keys are valid during a rotation.
 */
export async function readKey(
	serverKeys: readonly string[],
	key: string,
): Promise<{ account: string; secretHash: string } | null> {
	const [, account, secret, tag] = KEY.exec(key) ?? [];
	if (!account || !secret || !tag) return null;
	for (const serverKey of serverKeys) {
		if (equalInConstantTime(tag, await tagOf(serverKey, account, secret)))
			return { account, secretHash: await sha256(secret) };
	}
	return null;
}
