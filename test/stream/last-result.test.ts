import { expect, test } from "vitest";
import { lastResult } from "../../src/stream/last-result.ts";

test("an argument that comes again is computed once, and another one anew", () => {
	const computed: string[] = [];
	const length = lastResult((text: string) => {
		computed.push(text);
		return { length: text.length };
	});
	const [one, same, other, again] = ["a", "a", "bb", "a"].map(length);
	expect([one, other, again]).toEqual([
		{ length: 1 },
		{ length: 2 },
		{ length: 1 },
	]);
	expect(same).toBe(one);
	expect(computed).toEqual(["a", "bb", "a"]);
});
