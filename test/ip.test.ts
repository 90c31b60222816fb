import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { canonicalRange, isInRange } from "../src/ip.ts";

const v4 = fc.ipV4();
const v6 = fc.ipV6();

describe("a range of addresses", () => {
	it.each([
		["203.0.113.0/24", "203.0.113.0/24", false],
		["203.0.113.7", "203.0.113.7/32", false],
		["203.0.113.7/24", "203.0.113.0/24", true],
		["0.0.0.0/0", "0.0.0.0/0", false],
		["2001:DB8:0:0::/32", "2001:db8::/32", false],
		["::1", "::1/128", false],
		["2001:db8::1/64", "2001:db8::/64", true],
		["::ffff:203.0.113.0/120", "203.0.113.0/24", false],
	])("%s is kept as %s", (text, range, hasHostBits) => {
		expect(canonicalRange(text)).toEqual({ range, hasHostBits });
	});

	it.each([
		"",
		"/8",
		"10.0.0.0/",
		"10.0.0.0/33",
		"10.0.0.0/-1",
		"10.0.0.0/08",
		"10.0.0.0/8/8",
		"10.0/8",
		"010.0.0.0/8",
		"::/129",
		"fe80::%1/64",
		"a.example/8",
		" 10.0.0.0/8",
	])("%j is none", (text) => {
		expect(canonicalRange(text)).toBeNull();
	});

	it("holds the addresses that share its first bits, and no others", () => {
		const bitsOf = (ip: string) =>
			ip
				.split(".")
				.map((part) => Number(part).toString(2).padStart(8, "0"))
				.join("");
		fc.assert(
			fc.property(
				v4,
				v4,
				fc.integer({ min: 0, max: 32 }),
				(one, other, prefix) => {
					const same =
						bitsOf(one).slice(0, prefix) === bitsOf(other).slice(0, prefix);
					expect(isInRange(one, `${other}/${prefix}`)).toBe(same);
					expect(isInRange(`::ffff:${one}`, `${other}/${prefix}`)).toBe(same);
					expect(isInRange(one, `::ffff:${other}/${96 + prefix}`)).toBe(same);
				},
			),
		);
	});

	it("holds its own address whatever its prefix, and is the same once it is kept", () => {
		fc.assert(
			fc.property(v6, fc.integer({ min: 0, max: 128 }), (ip, prefix) => {
				const kept = canonicalRange(`${ip}/${prefix}`)?.range as string;
				expect(isInRange(ip, kept)).toBe(true);
				expect(canonicalRange(kept)).toEqual({
					range: kept,
					hasHostBits: false,
				});
			}),
		);
	});

	it("holds addresses of its own kind alone", () => {
		expect(isInRange("2001:db8::1", "0.0.0.0/0")).toBe(false);
		expect(isInRange("203.0.113.7", "::/0")).toBe(false);
	});
});
