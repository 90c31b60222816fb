/**
 * Sealed cookies: encrypted and authenticated (JWE, AES-256-GCM), so that nobody but this
 * deployment reads or changes what they hold.
 */
import { EncryptJWT, jwtDecrypt } from "jose";
import { hmac } from "../crypto.ts";

/** What a sealed cookie is for. One for another purpose does not open. */
export type Purpose = "session" | "sign-in";

const keyFor = (secret: string, purpose: Purpose): Promise<Uint8Array> =>
	hmac(secret, `minigpt4 ${purpose} cookie, A256GCM, 1`);

/**
 * @param secret the deployment's first key secret
 * @param seconds for how long it opens
 */
export async function seal<Content extends object>(
	secret: string,
	purpose: Purpose,
	content: Content,
	seconds: number,
	now: number,
): Promise<string> {
	const iat = Math.floor(now / 1000);
	return new EncryptJWT({ ...content } as Record<string, unknown>)
		.setProtectedHeader({ alg: "dir", enc: "A256GCM" })
		.setIssuedAt(iat)
		.setExpirationTime(iat + seconds)
		.encrypt(await keyFor(secret, purpose));
}

/** What was sealed, with `iat`; null for what is not this deployment's, or has expired. */
export async function open<Content extends object>(
	secrets: readonly string[],
	purpose: Purpose,
	sealed: string,
	now: number,
): Promise<(Content & { iat: number }) | null> {
	for (const secret of secrets)
		try {
			const { payload } = await jwtDecrypt<Content>(
				sealed,
				await keyFor(secret, purpose),
				{
					keyManagementAlgorithms: ["dir"],
					contentEncryptionAlgorithms: ["A256GCM"],
					currentDate: new Date(now),
				},
			);
			return payload as Content & { iat: number };
		} catch {
			// Sealed with another secret, or not by us.
		}
	return null;
}
