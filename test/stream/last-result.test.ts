import { expect, test } from "vitest";
import { lastResult } from "../../src/stream/last-result.ts";

test("an argument that comes again is computed once, and another one anew", () => {
	const computed: string[] = [];
	const length = lastResult((text: string) => {
		computed.push(text);
		return { length: text.length };
	});
	const [one, same, other, again] = ["a", "a", "bb", "a"].map((text) =>
		length(text),
	);
	expect([one, other, again]).toEqual([
		{ length: 1 },
		{ length: 2 },
		{ length: 1 },
	]);
	expect(same).toBe(one);
	expect(computed).toEqual(["a", "bb", "a"]);
});

test("all arguments count", () => {
	let computed = 0;
	const pair = lastResult((a: object, b: string) => ({ a, b, n: ++computed }));
	const event = {};
	const one = pair(event, "x");
	expect(pair(event, "x")).toBe(one);
	expect(pair(event, "y")).toEqual({ a: event, b: "y", n: 2 });
	expect(pair({}, "y")).toEqual({ a: {}, b: "y", n: 3 });
});
