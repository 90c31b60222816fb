import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isPrivateName, isPublic, literal } from "../../src/egress/address.ts";

const NOT_PUBLIC = [
	"0.0.0.0",
	"0.255.255.255",
	"10.0.0.1",
	"10.255.255.255",
	"100.64.0.1",
	"100.127.255.255",
	"127.0.0.1",
	"127.255.255.254",
	"169.254.169.254",
	"172.16.0.1",
	"172.31.255.255",
	"192.0.0.1",
	"192.0.2.1",
	"192.88.99.1",
	"192.168.0.1",
	"198.18.0.1",
	"198.19.255.255",
	"198.51.100.1",
	"203.0.113.1",
	"224.0.0.1",
	"239.255.255.255",
	"240.0.0.1",
	"255.255.255.255",
	"::",
	"::1",
	"::127.0.0.1",
	"::ffff:127.0.0.1",
	"::ffff:7f00:1",
	"::ffff:8.8.8.8",
	"0:0:0:0:0:ffff:a00:1",
	"64:ff9b::7f00:1",
	"64:ff9b::8.8.8.8",
	"64:ff9b:1::1",
	"100::1",
	"2001::1",
	"2001:0:53aa:64c:0:0:80ff:fffe",
	"2001:10::1",
	"2001:db8::1",
	"2002:7f00:1::",
	"2002:808:808::1",
	"3fff::1",
	"5f00::1",
	"fc00::1",
	"fd12:3456:789a::1",
	"fe80::1",
	"febf::1",
	"fec0::1",
	"ff02::1",
	"fe80::1%eth0",
	"",
	"localhost",
	"1.2.3",
	"1.2.3.4.5",
	"256.1.1.1",
	"0x7f.0.0.1",
	"2130706433",
	"1::2::3",
	":::",
	"1:2:3:4:5:6:7",
	"g::1",
	"1:2:3:4:5:6:7:8:9",
	"2606:4700::1.2.3.256",
	"2606:4700:1.2.3.4::1",
	"2606:4700:::1",
	" 8.8.8.8",
	"8.8.8.8 ",
];
const PUBLIC = [
	"1.1.1.1",
	"8.8.8.8",
	"9.255.255.255",
	"11.0.0.0",
	"100.63.255.255",
	"100.128.0.0",
	"126.255.255.255",
	"128.0.0.0",
	"172.15.255.255",
	"172.32.0.0",
	"192.167.255.255",
	"192.169.0.0",
	"223.255.255.255",
	"2606:4700:4700::1111",
	"2a00:1450:4001:81b::200e",
	"2001:4860:4860::8888",
	"2000::1",
	"3ffe:ffff::1",
	"2606:4700::1.2.3.4",
];

describe("an address", () => {
	it.each(NOT_PUBLIC)("%j is not public", (address) => {
		expect(isPublic(address)).toBe(false);
	});
	it.each(PUBLIC)("%j is public", (address) => {
		expect(isPublic(address)).toBe(true);
	});

	it("is judged the same in every notation", () => {
		const group = fc.integer({ min: 0, max: 0xffff });
		fc.assert(
			fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), (groups) => {
				const long = groups
					.map((value) => value.toString(16).padStart(4, "0"))
					.join(":");
				const short = new URL(`https://[${long}]/`).hostname;
				expect(isPublic(literal(short) as string)).toBe(isPublic(long));
			}),
		);
	});

	it("reads any text without an exception", () => {
		fc.assert(
			fc.property(fc.oneof(fc.string(), fc.ipV6(), fc.ipV4()), (text) => {
				expect(typeof isPublic(text)).toBe("boolean");
			}),
			{ numRuns: 2_000 },
		);
	});
});

describe("a name", () => {
	it.each([
		"localhost",
		"intranet",
		"a.localhost",
		"printer.local",
		"x.internal",
		"metadata.google.internal",
		"nas.home.arpa",
		"x.onion",
		"a.test",
	])("%j is private", (name) => {
		expect(isPrivateName(name)).toBe(true);
	});
	it.each(["example.com", "a.b.co.uk", "local.example.org", "x.localhosts.de"])(
		"%j may be public",
		(name) => {
			expect(isPrivateName(name)).toBe(false);
		},
	);
});
