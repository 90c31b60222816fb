/** SHA-256 in hex; null where the platform has none: a page that came neither by HTTPS nor from this machine. */
export async function sha256(
	bytes: Uint8Array<ArrayBuffer>,
): Promise<string | null> {
	if (!globalThis.crypto?.subtle) return null;
	const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
	return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join(
		"",
	);
}
