import { expect, it } from "vitest";
import {
	ago,
	duration,
	exactMoney,
	money,
	size,
} from "../../src/command/format.ts";

it.each([
	[0, "$0.00"],
	[70, "$0.00007"],
	[1_000, "$0.001"],
	[10_000, "$0.01"],
	[9_987_995, "$9.987995"],
	[12_500_000, "$12.50"],
	[-1_000, "-$0.001"],
])("%i micro-USD are %s, without rounding", (micro, text) => {
	expect(money(micro)).toBe(text);
});

it("times and sizes are short", () => {
	expect([0, 999, 1_000, 59_949, 61_000, 185_000].map(duration)).toEqual([
		"0 ms",
		"999 ms",
		"1.0 s",
		"59.9 s",
		"1 min 1 s",
		"3 min 5 s",
	]);
	expect([1, 999, 53_200, 2_400_000].map(size)).toEqual([
		"1 B",
		"999 B",
		"53 KB",
		"2.4 MB",
	]);
	const now = Date.parse("2026-01-02T00:00:00Z");
	expect(
		[
			"01-02T00:00:09",
			"01-01T23:59:18",
			"01-01T23:18:00",
			"01-01T01:00:00",
		].map((time) => ago(`2026-${time}Z`, now)),
	).toEqual(["0 s ago", "42 s ago", "42 min ago", "23 h ago"]);
});

it.each([
	["0.000000", "$0.00"],
	["4.700000", "$0.0000047"],
	["0.050000", "$0.00000005"],
	["100.000000", "$0.0001"],
	["12500000.000001", "$12.500000000001"],
])("an amount of %s micro-USD is %s", (amount, text) => {
	expect(exactMoney(amount)).toBe(text);
});
