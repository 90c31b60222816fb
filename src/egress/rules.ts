/**
 * Where a caller may send us: https on port 443, public addresses only. Who follows redirects checks each of them.
 *
 * Every address of a name must be public before anything connects. The connection then resolves the name once more, and a
 * Worker cannot pin the address that it connects to: against a name that changes its answer in between, only the
 * platform's own egress helps, which on Cloudflare reaches no private network. Where the edge is run elsewhere, its
 * network has to deny it the private ranges.
 */
import { isPrivateName, isPublic, literal } from "./address.ts";
import type { Resolver } from "./resolver.ts";

export interface EgressRules {
	resolve: Resolver;
	/** `host:port`, or `host` for all its ports: reachable although they are not public, over http too; empty in production. */
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

/** What a URL alone tells against itself; a name is taken for public. */
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

/** Whether the URL alone tells that its host is not public: this machine, or one beside it. */
export function leadsHome(url: URL): boolean {
	const address = literal(url.hostname);
	return address ? !isPublic(address) : isPrivateName(nameOf(url));
}

/** What speaks against connecting to it now. */
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
