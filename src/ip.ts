/** IP addresses, and ranges of them in CIDR notation: `203.0.113.0/24`, `2001:db8::/32`. */
import ipaddr from "ipaddr.js";

type Address = ipaddr.IPv4 | ipaddr.IPv6;

/**
 * An address in its full form; null for other text. The library would read octal, hexadecimal and
 * short forms as well, and zones.
 */
export function parseAddress(text: string): Address | null {
	if (ipaddr.IPv4.isValidFourPartDecimal(text)) return ipaddr.IPv4.parse(text);
	if (!text.includes("%") && ipaddr.IPv6.isValid(text))
		return ipaddr.IPv6.parse(text);
	return null;
}

interface Range {
	first: Address;
	prefix: number;
	/** Whether the text had bits behind the prefix, as `203.0.113.7/24` has. */
	hasHostBits: boolean;
}

/**
 * A range as keys store it, in one way of writing; null for text that is no range. An address alone
 * is a range of one.
 */
export function canonicalRange(
	text: string,
): { range: string; hasHostBits: boolean } | null {
	const parsed = parseRange(text);
	if (!parsed) return null;
	const { first, prefix, hasHostBits } = parsed;
	return { range: `${first}/${prefix}`, hasHostBits };
}

/** Whether an address is in a range; never, where one of the two texts is not what it should be. */
export function isInRange(address: string, range: string): boolean {
	const parsed = parseAddress(address);
	const within = parseRange(range);
	if (!parsed || !within) return false;
	const ip = withoutMapping(parsed);
	return (
		ip.kind() === within.first.kind() && ip.match([within.first, within.prefix])
	);
}

function parseRange(text: string): Range | null {
	const [, address = "", digits] =
		/^([^/]+)(?:\/(0|[1-9]\d{0,2}))?$/.exec(text) ?? [];
	const ip = parseAddress(address);
	if (!ip) return null;
	const bits = ip.kind() === "ipv4" ? 32 : 128;
	const prefix = digits === undefined ? bits : Number(digits);
	if (prefix > bits) return null;
	const Kind = ip.kind() === "ipv4" ? ipaddr.IPv4 : ipaddr.IPv6;
	const first = Kind.networkAddressFromCIDR(`${ip}/${prefix}`);
	const plain = withoutMapping(first);
	return {
		first: plain,
		prefix: plain === first ? prefix : prefix - 96,
		hasHostBits: String(first) !== String(ip),
	};
}

/** An IPv4 address that is written as IPv6 (`::ffff:203.0.113.7`), as IPv4. */
const withoutMapping = (ip: Address): Address =>
	ip instanceof ipaddr.IPv6 && ip.isIPv4MappedAddress()
		? ip.toIPv4Address()
		: ip;
