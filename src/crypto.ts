/** Hashes and comparisons over Web Crypto. Hashes in text form are lower-case hex. */

const utf8 = new TextEncoder();

export const hex = (bytes: ArrayBuffer): string =>
	new Uint8Array(bytes).toHex();

/** @param data text is hashed as UTF-8 */
export const sha256 = async (
	data: string | Uint8Array<ArrayBuffer>,
): Promise<string> =>
	hex(
		await crypto.subtle.digest(
			"SHA-256",
			typeof data === "string" ? utf8.encode(data) : data,
		),
	);

/** HMAC-SHA-256 of a text under a text. */
export async function hmac(secret: string, text: string): Promise<Uint8Array> {
	const key = await crypto.subtle.importKey(
		"raw",
		utf8.encode(secret),
		{ name: "HMAC", hash: "SHA-256" },
		false,
		["sign"],
	);
	return new Uint8Array(
		await crypto.subtle.sign("HMAC", key, utf8.encode(text)),
	);
}

/** Compares two texts in a time that depends on their lengths alone. */
export function equalInConstantTime(a: string, b: string): boolean {
	const left = utf8.encode(a);
	const right = utf8.encode(b);
	if (left.length !== right.length) return false;
	return crypto.subtle.timingSafeEqual(left, right);
}
