/**
 * Fetches images from URLs that a caller names: rules.ts checks each URL, also those of redirects.
 */

import { ApiError } from "../errors.ts";
import { readAtMost } from "../read-at-most.ts";
import {
	type EgressRules as Egresses,
	OBJECTIONS,
	type Objection,
	objection,
} from "./rules.ts";

const MAX_REDIRECTS = 3;
const TIMEOUT_MS = 10_000;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);

export interface Egress extends Egresses {
	/** For the whole fetch: lookups, redirects and body. */
	timeoutMs?: number;
}

/**
 * Fetches the bytes at a URL, whatever type the response declares.
 * @param limit in bytes
 * @param field the request's field, for errors
 * @throws ApiError `url_refused`, `url_unreachable`, `image_too_large`
 */
export async function fetchGuarded(
	text: string,
	limit: number,
	field: string,
	egress: Egress,
): Promise<Uint8Array<ArrayBuffer>> {
	const signal = AbortSignal.timeout(egress.timeoutMs ?? TIMEOUT_MS);
	try {
		let url = parse(text, undefined, field);
		for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
			await check(url, hop, field, egress, signal);
			const response = await fetch(url, {
				redirect: "manual",
				signal,
				headers: { Accept: "image/*", "User-Agent": "minigpt4-api" },
			});
			const location = response.headers.get("Location");
			if (REDIRECTS.has(response.status) && location !== null) {
				await response.body?.cancel();
				url = parse(location, url, field);
				continue;
			}
			if (!response.ok) {
				await response.body?.cancel();
				throw unreachable(
					field,
					`the server answered ${response.status}. Check the URL, or upload the image.`,
				);
			}
			const bytes = await readAtMost(response, limit);
			if (!bytes) throw new ApiError({ code: "image_too_large", field, limit });
			return bytes;
		}
		throw refused(
			field,
			`redirects more than ${MAX_REDIRECTS} times. Send the image's own URL.`,
		);
	} catch (error) {
		if (error instanceof ApiError) throw error;
		throw unreachable(
			field,
			signal.aborted
				? "the image did not arrive in time. Try again, or upload it."
				: "the connection failed. Try again, or upload the image.",
		);
	}
}

function parse(text: string, base: URL | undefined, field: string): URL {
	const url = URL.parse(text, base);
	if (url) return url;
	throw refused(
		field,
		base
			? "redirects to something that is not a URL. Send the image's own URL."
			: "is not an absolute URL. Send `https://…` or `data:image/…;base64,…`.",
	);
}

const WAYS_OUT: Record<Objection, string> = {
	credentials: "Send a URL without them.",
	scheme: "Send an `https:` or a `data:` URL.",
	port: "Send another URL, or upload the image.",
	private: "Upload the image instead.",
	lookup: "Try again, or upload the image.",
	no_host: "Check the URL.",
};

/** @param hop 0 for the caller's own URL @throws ApiError `url_refused`, `url_unreachable` */
async function check(
	url: URL,
	hop: number,
	field: string,
	egress: Egress,
	signal: AbortSignal,
): Promise<void> {
	const found = await objection(url, egress, signal);
	if (!found) return;
	const redirected = hop > 0 ? "redirects to a URL that " : "";
	const words = `${redirected}${OBJECTIONS[found]}. ${WAYS_OUT[found]}`;
	throw new ApiError({
		code:
			found === "lookup" || found === "no_host"
				? "url_unreachable"
				: "url_refused",
		field,
		detail: `\`${field}\` ${words}`,
	});
}

const refused = (field: string, words: string) =>
	new ApiError({ code: "url_refused", field, detail: `\`${field}\` ${words}` });

const unreachable = (field: string, words: string) =>
	new ApiError({
		code: "url_unreachable",
		field,
		detail: `\`${field}\`: ${words}`,
	});
