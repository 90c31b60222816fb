/**
 * Tells hosts on the public internet from those on private networks.
 *
 * Runs in the Worker and in the Endpoint object, as egress/ does but for fetcher.ts, which runs in
 * the Worker only.
 */
import ipaddr from "ipaddr.js";
import { parseAddress } from "../ip.ts";

/** The only block of IPv6 for global unicast; the library knows the reserved ranges within it. */
const GLOBAL_V6 = ipaddr.IPv6.parseCIDR("2000::/3");

/** Whether an IP address in text form is public; false for text that is not an IP address. */
export function isPublic(address: string): boolean {
	const ip = parseAddress(address);
	if (ip?.range() !== "unicast") return false;
	return ip instanceof ipaddr.IPv4 || ip.match(GLOBAL_V6);
}

/**
 * The IP address in the host of a URL; null for a name. The URL parser has already normalized
 * octal, hex, short and decimal forms, full-width digits and a trailing dot.
 */
export function literal(host: string): string | null {
	const bare = host.startsWith("[") ? host.slice(1, -1) : host;
	return parseAddress(bare) ? bare : null;
}

/**
 * Top-level names reserved for private use, whatever a resolver answers (RFC 6761, 6762, 7686,
 * 8375, 9476).
 */
const PRIVATE_SUFFIXES = [
	"localhost",
	"local",
	"internal",
	"home.arpa",
	"onion",
	"alt",
	"test",
	"invalid",
	"example",
];

/** @param name lower case, without a trailing dot */
export const isPrivateName = (name: string): boolean =>
	!name.includes(".") ||
	PRIVATE_SUFFIXES.some((suffix) => name.endsWith(`.${suffix}`));
