// @ts-check

/**
 * SHA-256, hex; null if the page has no access to Web Crypto (plain http on another host than
 * localhost).
 * @param {ArrayBuffer | Uint8Array<ArrayBuffer>} bytes
 */
export async function sha256(bytes) {
	if (!crypto.subtle) return null;
	const digest = await crypto.subtle.digest("SHA-256", bytes);
	return Array.from(new Uint8Array(digest), (byte) =>
		byte.toString(16).padStart(2, "0"),
	).join("");
}
