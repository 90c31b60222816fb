/** Images behind addresses that a caller names: guarded by src/egress.ts, redirects by hand. */

import { ApiError } from "../errors.ts";
import { readAtMost } from "../read-at-most.ts";
import { type EgressRules as Egresses, objection } from "./rules.ts";

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
			await check(url, field, egress, signal);
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
			? "redirects to what is no URL. Send the image's own URL."
			: "is no absolute URL. Send `https://…` or `data:image/…;base64,…`.",
	);
}

/** @throws ApiError `url_refused`, `url_unreachable` */
async function check(
	url: URL,
	field: string,
	egress: Egress,
	signal: AbortSignal,
): Promise<void> {
	switch (await objection(url, egress, signal)) {
		case null:
			return;
		case "credentials":
			throw refused(field, "holds credentials. Send a URL without them.");
		case "scheme":
			throw refused(
				field,
				"leads to something other than https. Send `https:` or `data:`.",
			);
		case "port":
			throw refused(field, "must use port 443.");
		case "private":
			throw refused(
				field,
				"leads to an address that is not public. Upload the image instead.",
			);
		case "lookup":
			throw unreachable(
				field,
				"its host could not be looked up. Try again, or upload the image.",
			);
		case "no_host":
			throw unreachable(field, "there is no such host. Check the URL.");
	}
}

const refused = (field: string, words: string) =>
	new ApiError({ code: "url_refused", field, detail: `\`${field}\` ${words}` });

const unreachable = (field: string, words: string) =>
	new ApiError({
		code: "url_unreachable",
		field,
		detail: `\`${field}\`: ${words}`,
	});
