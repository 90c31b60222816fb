/**
 * The one way out to addresses that a caller names. https on port 443, public addresses only, redirects by hand.
 *
 * Every answer of the resolver must be public. The connection itself resolves the name once more, and a Worker cannot
 * pin the address it connects to: against a name that changes its answer in between, the platform's own egress, which
 * reaches no private network, is what holds.
 */
import { ApiError } from "../errors.ts";
import { isPublic, literal } from "./address.ts";
import { readAtMost } from "./read.ts";
import type { Resolver } from "./resolver.ts";

const MAX_REDIRECTS = 3;
const WITHIN_MS = 10_000;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);

export interface Egress {
	resolve: Resolver;
	/** `host:port` pairs reachable although they are not public, over http too; empty in production. */
	allow: readonly string[];
	fetch?: typeof fetch;
	withinMs?: number;
}

/**
 * The bytes behind a URL.
 * @param limit bytes
 * @param field of the request, for errors
 * @throws ApiError `url_refused`, `url_unreachable`, `image_too_large`
 */
export async function fetchGuarded(
	text: string,
	limit: number,
	field: string,
	egress: Egress,
): Promise<Uint8Array<ArrayBuffer>> {
	const signal = AbortSignal.timeout(egress.withinMs ?? WITHIN_MS);
	const unreachable = (detail: string) =>
		new ApiError({
			code: "url_unreachable",
			field,
			detail: `\`${field}\`: ${detail}`,
		});
	try {
		let url = parse(text, field);
		for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
			await check(url, field, egress, signal);
			const response = await (egress.fetch ?? fetch)(url, {
				redirect: "manual",
				signal,
				headers: { Accept: "image/*", "User-Agent": "minigpt4-api" },
			});
			const location = response.headers.get("Location");
			if (REDIRECTS.has(response.status) && location) {
				await response.body?.cancel();
				url = parse(new URL(location, url).href, field);
				continue;
			}
			if (!response.ok) {
				await response.body?.cancel();
				throw unreachable(
					`the server answered ${response.status}. Check the URL, or upload the image.`,
				);
			}
			const bytes = await readAtMost(response, limit);
			if (!bytes) throw new ApiError({ code: "image_too_large", field, limit });
			return bytes;
		}
		throw unreachable(
			`more than ${MAX_REDIRECTS} redirects. Send the image's own URL.`,
		);
	} catch (error) {
		if (error instanceof ApiError) throw error;
		throw unreachable(
			"the server did not answer in time. Try again, or upload the image.",
		);
	}
}

function parse(text: string, field: string): URL {
	if (!URL.canParse(text))
		throw refused(
			field,
			"is no absolute URL. Send `https://…` or `data:image/…;base64,…`.",
		);
	return new URL(text);
}

async function check(
	url: URL,
	field: string,
	egress: Egress,
	signal: AbortSignal,
): Promise<void> {
	if (url.username || url.password)
		throw refused(field, "holds credentials. Send a URL without them.");
	const port = url.port || (url.protocol === "https:" ? "443" : "80");
	const web = url.protocol === "https:" || url.protocol === "http:";
	if (web && egress.allow.includes(`${url.hostname}:${port}`)) return;
	if (url.protocol !== "https:")
		throw refused(field, "must start with `https:` or `data:`.");
	if (port !== "443") throw refused(field, "must use port 443.");
	const address = literal(url.hostname);
	const addresses = address
		? [address]
		: await egress.resolve(url.hostname.replace(/\.$/, ""), signal);
	if (addresses.length === 0)
		throw refused(field, "names a host that does not exist.");
	if (!addresses.every(isPublic))
		throw refused(
			field,
			"leads to an address that is not public. Upload the image instead.",
		);
}

const refused = (field: string, words: string) =>
	new ApiError({ code: "url_refused", field, detail: `\`${field}\` ${words}` });
