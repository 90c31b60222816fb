/** Whether a webhook came from us: Standard Webhooks, with the platform's own cryptography. */
import { bytesIn } from "./bytes.ts";
import { MiniGPT4Error } from "./errors.ts";
import type { WebhookMessage } from "./types.ts";

/** A message that is not to be believed. Answer it with a 4xx. */
export class WebhookError extends MiniGPT4Error {
	declare readonly code:
		| "missing_header"
		| "timestamp_invalid"
		| "timestamp_too_old"
		| "timestamp_too_new"
		| "signature_mismatch"
		| "secret_invalid"
		| "body_invalid";
}

export interface VerifyOptions {
	/** Seconds that the message may be older or newer than now. 300 unless told otherwise. */
	tolerance?: number;
	/** Milliseconds since 1970. */
	now?: number;
}

type HeadersLike =
	| { get(name: string): string | null }
	| Record<string, string | readonly string[] | undefined>;

/**
 * The message, if one of the secrets signed exactly these bytes for now. A message may still come twice: its
 * `webhook-id` is the same then.
 * @param body as it came, not parsed
 * @param secrets `whsec_…`; several while they rotate
 * @throws WebhookError
 */
export async function verify(
	body: string | Uint8Array | ArrayBuffer,
	headers: HeadersLike,
	secrets: string | string[],
	{ tolerance = 300, now = Date.now() }: VerifyOptions = {},
): Promise<WebhookMessage> {
	const [id, timestamp, signatures] = [
		"webhook-id",
		"webhook-timestamp",
		"webhook-signature",
	].map((name) => header(headers, name)) as [string, string, string];
	const age = now / 1000 - Number(timestamp);
	if (!/^\d+$/.test(timestamp))
		throw new WebhookError(
			"timestamp_invalid",
			"`webhook-timestamp` is no number of seconds.",
		);
	if (age > tolerance)
		throw new WebhookError(
			"timestamp_too_old",
			"The message is too old: it may be a replay.",
		);
	if (age < -tolerance)
		throw new WebhookError(
			"timestamp_too_new",
			"The message is from the future: check this machine's clock.",
		);

	const utf8 = new TextEncoder();
	const bytes = typeof body === "string" ? utf8.encode(body) : bytesIn(body);
	if (!bytes)
		throw new WebhookError(
			"body_invalid",
			"Pass the body as text or bytes, before anything parses it.",
		);
	const head = utf8.encode(`${id}.${timestamp}.`);
	const signed = new Uint8Array(head.length + bytes.length);
	signed.set(head);
	signed.set(bytes, head.length);

	let good = false;
	for (const secret of [secrets].flat()) {
		const key = await crypto.subtle.importKey(
			"raw",
			secretBytes(secret),
			{ name: "HMAC", hash: "SHA-256" },
			false,
			["verify"],
		);
		for (const signature of signatures.split(" ")) {
			const [version, base64 = ""] = signature.split(",");
			const claimed = version === "v1" && bytesOf(base64);
			// In constant time, by the platform's word.
			if (claimed && (await crypto.subtle.verify("HMAC", key, claimed, signed)))
				good = true;
		}
	}
	if (!good)
		throw new WebhookError(
			"signature_mismatch",
			"No signature fits: the secret is another, or the body was changed. Verify the raw body, before anything parses it.",
		);
	try {
		return JSON.parse(new TextDecoder().decode(bytes));
	} catch (cause) {
		throw new WebhookError("body_invalid", "The body is not JSON.", { cause });
	}
}

function header(headers: HeadersLike, name: string): string {
	const value =
		typeof headers.get === "function"
			? headers.get(name)
			: Object.entries(headers).find(
					([key]) => key.toLowerCase() === name,
				)?.[1];
	const text = Array.isArray(value) ? value[0] : value;
	if (text) return text;
	throw new WebhookError("missing_header", `There is no \`${name}\` header.`);
}

function secretBytes(secret: string): Uint8Array<ArrayBuffer> {
	const bytes = bytesOf(secret.replace(/^whsec_/, ""));
	if (bytes && bytes.length > 0) return bytes;
	throw new WebhookError(
		"secret_invalid",
		"The secret is none: it begins with `whsec_`, and base64 follows.",
	);
}

function bytesOf(base64: string): Uint8Array<ArrayBuffer> | null {
	try {
		return Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
	} catch {
		return null;
	}
}
