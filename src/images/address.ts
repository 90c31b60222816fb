/**
 * Which addresses are on the public internet. IPv4 by what the IANA special-purpose registries take away from it, IPv6 by
 * the little that they give: global unicast, less what leads through a tunnel to elsewhere.
 */

/** First address and prefix length. */
type Block = readonly [address: string, bits: number];

const NOT_PUBLIC_V4: readonly Block[] = [
	["0.0.0.0", 8], // this network
	["10.0.0.0", 8], // private
	["100.64.0.0", 10], // carrier-grade NAT
	["127.0.0.0", 8], // loopback
	["169.254.0.0", 16], // link-local, and clouds' metadata
	["172.16.0.0", 12], // private
	["192.0.0.0", 24], // protocol assignments
	["192.0.2.0", 24], // documentation
	["192.88.99.0", 24], // 6to4 relays
	["192.168.0.0", 16], // private
	["198.18.0.0", 15], // benchmarks
	["198.51.100.0", 24], // documentation
	["203.0.113.0", 24], // documentation
	["224.0.0.0", 3], // multicast, reserved, broadcast
];

const GLOBAL_V6: Block = ["2000::", 3];
const NOT_PUBLIC_V6: readonly Block[] = [
	["2001::", 23], // protocol assignments: Teredo, ORCHID, benchmarks
	["2001:db8::", 32], // documentation
	["2002::", 16], // 6to4: an IPv4 address inside
	["3fff::", 20], // documentation
];

/** Whether an IP address in text form is public. What cannot be read as one is not. */
export function isPublic(address: string): boolean {
	const v4 = parseV4(address);
	if (v4) return !NOT_PUBLIC_V4.some((block) => within(v4, parseV4, block));
	const v6 = parseV6(address);
	if (!v6) return false;
	// Loopback, mapped, NAT64, unique local, link-local and multicast all lie outside of global unicast.
	return (
		within(v6, parseV6, GLOBAL_V6) &&
		!NOT_PUBLIC_V6.some((block) => within(v6, parseV6, block))
	);
}

/**
 * The IP address that a URL's host is, or null for a name. The URL parser has undone octal, hex, short and decimal forms,
 * wide digits and a trailing dot.
 */
export function literal(host: string): string | null {
	const bare = host.startsWith("[") ? host.slice(1, -1) : host;
	return parseV4(bare) || parseV6(bare) ? bare : null;
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

/** An address as bytes, 4 or 16. */
type Parse = (text: string) => number[] | null;

function within(
	address: number[],
	parse: Parse,
	[first, bits]: Block,
): boolean {
	const start = parse(first) ?? [];
	return start.every((byte, n) => {
		const left = Math.min(8, Math.max(0, bits - n * 8));
		return (((address[n] ?? 0) ^ byte) & (0xff00 >> left) & 0xff) === 0;
	});
}

const parseV4: Parse = (text) => {
	const parts = text.split(".");
	if (parts.length !== 4 || !parts.every((part) => /^\d{1,3}$/.test(part)))
		return null;
	const bytes = parts.map(Number);
	return bytes.every((byte) => byte <= 255) ? bytes : null;
};

const parseV6: Parse = (text) => {
	const halves = text.split("::");
	if (!/^[0-9a-f:.]+$/i.test(text) || halves.length > 2) return null;
	const [head, tail] = halves.map((half, n) =>
		half ? groups(half, n === halves.length - 1) : [],
	);
	if (!head || (halves.length === 2 && !tail)) return null;
	const missing = 16 - head.length - (tail?.length ?? 0);
	if (halves.length === 1 ? missing !== 0 : missing < 2) return null;
	return [...head, ...new Array<number>(missing).fill(0), ...(tail ?? [])];
};

/** Colon-separated groups as bytes; where the address ends here, the last one may be an IPv4 address. */
function groups(text: string, ends: boolean): number[] | null {
	const parts = text.split(":");
	const bytes: number[] = [];
	for (const [n, part] of parts.entries()) {
		const v4 = ends && n === parts.length - 1 ? parseV4(part) : null;
		if (v4) bytes.push(...v4);
		else if (/^[0-9a-f]{1,4}$/i.test(part)) {
			const value = Number.parseInt(part, 16);
			bytes.push(value >> 8, value & 0xff);
		} else return null;
	}
	return bytes;
}
