/**
 * The one way out to addresses that a caller names: https on port 443, public addresses only, redirects by hand.
 *
 * Every address of a name must be public before anything connects. The connection then resolves the name once more, and a
 * Worker cannot pin the address that it connects to: against a name that changes its answer in between, only the
 * platform's own egress helps, which on Cloudflare reaches no private network. Where the edge is run elsewhere, its
 * network has to deny it the private ranges.
 */
import { ApiError } from "../errors.ts";
import { readAtMost } from "../read.ts";
import { isPrivateName, isPublic, literal } from "./address.ts";
import type { Resolver } from "./resolver.ts";

const MAX_REDIRECTS = 3;
const WITHIN_MS = 10_000;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);

export interface Egress {
	resolve: Resolver;
	/** `host:port` pairs reachable although they are not public, over http too; empty in production. */
	allow: readonly string[];
	/** Milliseconds for everything: names, redirects, body. */
	withinMs?: number;
}

/**
 * The bytes behind a URL. What they are is for the caller to find out: no header is believed.
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
	if (url.username || url.password)
		throw refused(field, "holds credentials. Send a URL without them.");
	const isHttp = url.protocol === "http:";
	const port = url.port || (isHttp ? "80" : "443");
	if (isHttp || url.protocol === "https:")
		if (egress.allow.includes(`${url.hostname}:${port}`)) return;
	if (url.protocol !== "https:")
		throw refused(
			field,
			"leads to something other than https. Send `https:` or `data:`.",
		);
	if (port !== "443") throw refused(field, "must use port 443.");
	if (!(await isPublicHost(url.hostname, field, egress, signal)))
		throw refused(
			field,
			"leads to an address that is not public. Upload the image instead.",
		);
}

async function isPublicHost(
	host: string,
	field: string,
	{ resolve }: Egress,
	signal: AbortSignal,
): Promise<boolean> {
	const address = literal(host);
	if (address) return isPublic(address);
	const name = host.toLowerCase().replace(/\.+$/, "");
	if (isPrivateName(name)) return false;
	let addresses: string[];
	try {
		addresses = await resolve(name, signal);
	} catch {
		throw unreachable(
			field,
			"its host could not be looked up. Try again, or upload the image.",
		);
	}
	if (addresses.length === 0)
		throw unreachable(field, "there is no such host. Check the URL.");
	return addresses.every(isPublic);
}

const refused = (field: string, words: string) =>
	new ApiError({ code: "url_refused", field, detail: `\`${field}\` ${words}` });

const unreachable = (field: string, words: string) =>
	new ApiError({
		code: "url_unreachable",
		field,
		detail: `\`${field}\`: ${words}`,
	});
