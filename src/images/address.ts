import ipaddr from "ipaddr.js";

/**
 * Whether an IP address is on the public internet: unicast, and none of the ranges that lead home, to a neighbour, or
 * through a tunnel to either (loopback, private, link-local, carrier-grade NAT, mapped, NAT64, 6to4, Teredo, …).
 */
export function isPublic(address: string): boolean {
	return ipaddr.isValid(address) && ipaddr.parse(address).range() === "unicast";
}

/** The literal IP address that a URL's host is, or null for a name. The URL parser has undone octal, hex and short forms. */
export function literal(host: string): string | null {
	const bare = host.startsWith("[") ? host.slice(1, -1) : host;
	return ipaddr.isValid(bare) ? bare : null;
}
