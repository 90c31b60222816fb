/** Verifies receipts with the platform's own cryptography, without a call. */
import { MiniGPT4Error } from "./errors.ts";
import type { ReceiptClaims, ReceiptKeys } from "./types.ts";

/** The receipt proves nothing. */
export class ReceiptError extends MiniGPT4Error {
	declare readonly code:
		| "receipt_invalid"
		| "key_unknown"
		| "key_invalid"
		| "signature_mismatch"
		/** The command compares these two. */
		| "request_mismatch"
		| "answer_mismatch";
}

/**
 * Verifies that one of the keys signed exactly this receipt, and returns what it says. Take the
 * keys from the API that you trust, not from whoever shows you the receipt.
 *
 * @param receipt `receipt` of what `client.jobs.receipt` returns
 * @param keys what `client.receiptKeys` returned, once
 * @throws ReceiptError
 * @example
 * ```ts
 * import { receipts } from "minigpt4";
 *
 * const { id } = await client.jobs.run({ images: ["samples/coffee.jpg"], task: "describe" });
 * const { receipt } = await client.jobs.receipt(id);
 * const keys = await client.receiptKeys();
 * const { model, usage, price } = await receipts.verify(receipt, keys);
 * console.log(model, usage.output_tokens, "tokens,", price, "micro-USD");
 * ```
 */
export async function verifyReceipt(
	receipt: string,
	{ keys }: ReceiptKeys,
): Promise<ReceiptClaims> {
	const [head = "", payload = "", signature = "", ...more] = receipt.split(".");
	const header = jsonIn(head) as { alg?: unknown; kid?: unknown };
	if (header.alg !== "EdDSA" || more.length > 0) throw invalid();
	const key = keys.find(({ kid }) => kid === header.kid);
	if (!key)
		throw new ReceiptError(
			"key_unknown",
			"None of these keys is the one that the receipt names.",
		);
	const { kty, crv, x } = key;
	const publicKey = await crypto.subtle
		.importKey("jwk", { kty, crv, x }, "Ed25519", false, ["verify"])
		.catch((cause) => {
			throw new ReceiptError(
				"key_invalid",
				"The key that the receipt names is no Ed25519 key.",
				{ cause },
			);
		});
	const isGenuine = await crypto.subtle.verify(
		"Ed25519",
		publicKey,
		bytesOf(signature),
		new TextEncoder().encode(`${head}.${payload}`),
	);
	if (isGenuine) return jsonIn(payload) as ReceiptClaims;
	throw new ReceiptError(
		"signature_mismatch",
		"The signature does not fit: the receipt was changed.",
	);
}

const jsonIn = (base64url: string): unknown => {
	try {
		const value = JSON.parse(new TextDecoder().decode(bytesOf(base64url)));
		if (typeof value === "object" && value !== null) return value;
	} catch {}
	throw invalid();
};

function bytesOf(base64url: string): Uint8Array<ArrayBuffer> {
	const base64 = base64url.replace(/-/g, "+").replace(/_/g, "/");
	try {
		const binary = atob(base64);
		// Of all spellings of these bytes only the standard's own, so that no character may change.
		if (btoa(binary).replace(/=+$/, "") === base64)
			return Uint8Array.from(binary, (c) => c.charCodeAt(0));
	} catch {}
	throw invalid();
}

const invalid = () =>
	new ReceiptError(
		"receipt_invalid",
		"This is no receipt: one is three parts of base64url, with dots between them.",
	);
