/** Verifies a webhook by Standard Webhooks, with the platform's own cryptography. */
import { bytesIn } from "./bytes.ts";
import { MiniGPT4Error } from "./errors.ts";
import type { WebhookMessage } from "./types.ts";

/** The message cannot be trusted. Answer it with a 4xx status. */
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
	/** Seconds that the message may be older or newer than now. Defaults to 300. */
	tolerance?: number;
	/** The time now, in milliseconds since 1970. Defaults to the machine's clock. */
	now?: number;
}

type HeadersLike =
	| { get(name: string): string | null }
	| Record<string, string | readonly string[] | undefined>;

/**
 * Verifies that one of the secrets signed exactly these bytes, at most `tolerance` seconds from
 * now, and returns the message. A message may arrive twice, with the same `webhook-id` header.
 *
 * @param body the body as it was received, before anything parses it
 * @param headers the request's headers, in any of the usual shapes
 * @param secrets `whsec_…`; several while a secret is being replaced
 * @throws WebhookError; answer with a 4xx status
 * @example
 * ```ts
 * import { createHmac } from "node:crypto";
 * import { webhooks } from "minigpt4";
 *
 * // A server takes these from the request, and the secret from its configuration.
 * const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
 * const body = '{"type":"webhook.test","timestamp":"2026-11-23T09:30:00Z","data":{}}';
 * const time = String(Math.floor(Date.now() / 1000));
 * const hmac = createHmac("sha256", Buffer.from(secret.slice("whsec_".length), "base64"));
 * const headers = {
 * 	"webhook-id": "evt_1",
 * 	"webhook-timestamp": time,
 * 	"webhook-signature": `v1,${hmac.update(`evt_1.${time}.${body}`).digest("base64")}`,
 * };
 *
 * const message = await webhooks.verify(body, headers, secret);
 * console.log(message.type, "is genuine");
 * ```
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
			"`webhook-timestamp` is not a number of seconds.",
		);
	if (age > tolerance)
		throw new WebhookError(
			"timestamp_too_old",
			"The message is too old: somebody may have replayed it.",
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

	let isGenuine = false;
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
			const claimed = version === "v1" && fromBase64(base64);
			// `verify` compares in constant time.
			if (claimed && (await crypto.subtle.verify("HMAC", key, claimed, signed)))
				isGenuine = true;
		}
	}
	if (!isGenuine)
		throw new WebhookError(
			"signature_mismatch",
			[
				"No signature fits: the secret is a different one, or the body was changed.",
				"Verify the raw body, before anything parses it.",
			].join(" "),
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
	const bytes = fromBase64(secret.replace(/^whsec_/, ""));
	if (bytes && bytes.length > 0) return bytes;
	throw new WebhookError(
		"secret_invalid",
		"This is not a webhook secret: one begins with `whsec_`, followed by base64.",
	);
}

function fromBase64(base64: string): Uint8Array<ArrayBuffer> | null {
	try {
		return Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
	} catch {
		return null;
	}
}
