/** Which hosts are on the public internet. */
import ipaddr from "ipaddr.js";

/** The only part of IPv6 that is given to the public; the library knows what is taken away from it again. */
const GLOBAL_V6 = ipaddr.IPv6.parseCIDR("2000::/3");

/** Whether an IP address in text form is public. What cannot be read as one is not. */
export function isPublic(address: string): boolean {
	const ip = parse(address);
	if (ip?.range() !== "unicast") return false;
	return ip instanceof ipaddr.IPv4 || ip.match(GLOBAL_V6);
}

/**
 * The IP address that a URL's host is, or null for a name. The URL parser has undone octal, hex, short and decimal forms,
 * wide digits and a trailing dot.
 */
export function literal(host: string): string | null {
	const bare = host.startsWith("[") ? host.slice(1, -1) : host;
	return parse(bare) ? bare : null;
}

/** Only the full forms: what else the library would read was never an answer of a resolver. */
function parse(text: string): ipaddr.IPv4 | ipaddr.IPv6 | null {
	if (ipaddr.IPv4.isValidFourPartDecimal(text)) return ipaddr.IPv4.parse(text);
	if (!text.includes("%") && ipaddr.IPv6.isValid(text))
		return ipaddr.IPv6.parse(text);
	return null;
}

/** Names that never mean a public host, whatever a resolver says (RFC 6761, 6762, 7686, 8375, 9476). */
const PRIVATE_SUFFIXES = [
	...["localhost", "local", "internal", "home.arpa", "onion", "alt", "test"],
	...["invalid", "example"],
];

/** @param name lower case, without a trailing dot */
export const isPrivateName = (name: string): boolean =>
	!name.includes(".") ||
	PRIVATE_SUFFIXES.some((suffix) => name.endsWith(`.${suffix}`));
