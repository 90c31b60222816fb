/**
 * The rules for URLs that a caller names: https on port 443, public addresses only. Code that
 * follows redirects checks every hop.
 *
 * The edge connects only if every address of the host is public. The connection resolves the name a
 * second time, and a Worker cannot pin the address, so a name that changes its answer in between
 * (DNS rebinding) passes these rules. Cloudflare's egress reaches no private network. On other
 * platforms the operator's network must block private ranges.
 */
import { isPrivateName, isPublic, literal } from "./address.ts";
import type { Resolver } from "./resolver.ts";

export interface EgressRules {
	resolve: Resolver;
	/**
	 * `host:port`, or `host` for every port: exempt from the rules, also over http. Empty in
	 * production.
	 */
	allow: readonly string[];
}

/** Why a URL is refused, as the end of a sentence about it. `lookup` and `no_host` may pass. */
export const OBJECTIONS = {
	credentials: "holds credentials",
	scheme: "does not begin with `https:`",
	port: "does not use port 443",
	private: "leads to a host that is not public",
	lookup: "leads to a host that could not be looked up",
	no_host: "leads to a host that does not exist",
};
export type Objection = keyof typeof OBJECTIONS;

/** Those that the URL alone tells. */
export type ObjectionByName = Exclude<Objection, "lookup" | "no_host">;

/** Checks a URL without a lookup. It takes every name for public that is not reserved. */
export function objectionByName(
	url: URL,
	allow: readonly string[],
): ObjectionByName | null {
	if (url.username || url.password) return "credentials";
	const isHttp = url.protocol === "http:";
	const port = url.port || (isHttp ? "80" : "443");
	if (isAllowed(url, allow)) return null;
	if (url.protocol !== "https:") return "scheme";
	if (port !== "443") return "port";
	return leadsHome(url) ? "private" : null;
}

/** Whether the host is a private address or a reserved name, judged without a lookup. */
export function leadsHome(url: URL): boolean {
	const address = literal(url.hostname);
	return address ? !isPublic(address) : isPrivateName(nameOf(url));
}

/** Checks a URL and looks its host up; null if the edge may connect. */
export async function objection(
	url: URL,
	{ resolve, allow }: EgressRules,
	signal: AbortSignal,
): Promise<Objection | null> {
	const byName = objectionByName(url, allow);
	if (byName || isAllowed(url, allow) || literal(url.hostname)) return byName;
	let addresses: string[];
	try {
		addresses = await resolve(nameOf(url), signal);
	} catch {
		return "lookup";
	}
	if (addresses.length === 0) return "no_host";
	return addresses.every(isPublic) ? null : "private";
}

function isAllowed(url: URL, allow: readonly string[]): boolean {
	const isHttp = url.protocol === "http:";
	if (!isHttp && url.protocol !== "https:") return false;
	const port = url.port || (isHttp ? "80" : "443");
	const names = [url.hostname, `${url.hostname}:${port}`];
	return allow.some((each) => names.includes(each.toLowerCase()));
}

const nameOf = (url: URL): string =>
	url.hostname.toLowerCase().replace(/\.+$/, "");
