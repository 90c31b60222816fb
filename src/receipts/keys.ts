/**
 * The keys that sign receipts. Each is derived from one of the deployment's key secrets, so that
 * there is nothing more to keep.
 *
 * Runs in the Worker, as all of receipts/ does.
 */
import { type CryptoKey, calculateJwkThumbprint } from "jose";
import { hmac } from "../crypto.ts";

/** Names the purpose, so that no other use of the secret yields the same bytes. */
const PURPOSE = "minigpt4 receipts, Ed25519, 1";
/** A PKCS #8 private key for Ed25519, up to its 32 bytes (RFC 8410, section 7). */
const PKCS8_HEAD = "302e020100300506032b657004220420";

/** A public key as a JSON Web Key (RFC 8037). */
export interface PublicKey {
	kty: "OKP";
	crv: "Ed25519";
	/** The key's 32 bytes, base64url. */
	x: string;
	/** The thumbprint of the key (RFC 7638). */
	kid: string;
	alg: "EdDSA";
	use: "sig";
}

export interface SigningKey {
	privateKey: CryptoKey;
	publicKey: PublicKey;
}

export async function signingKey(secret: string): Promise<SigningKey> {
	const seed = await hmac(secret, PURPOSE);
	const privateKey = await crypto.subtle.importKey(
		"pkcs8",
		new Uint8Array([...Uint8Array.fromHex(PKCS8_HEAD), ...seed]),
		"Ed25519",
		true, // the public key is read from it
		["sign"],
	);
	const { x } = (await crypto.subtle.exportKey(
		"jwk",
		privateKey,
	)) as JsonWebKey & { x: string };
	const key = { kty: "OKP", crv: "Ed25519", x } as const;
	const kid = await calculateJwkThumbprint(key);
	return { privateKey, publicKey: { ...key, kid, alg: "EdDSA", use: "sig" } };
}

/** The public keys of all secrets, the one that signs now first. */
export async function publicKeys(
	secrets: readonly string[],
): Promise<PublicKey[]> {
	const keys = await Promise.all(secrets.map(signingKey));
	return keys.map(({ publicKey }) => publicKey);
}
