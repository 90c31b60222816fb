import fc from "fast-check";
import { expect, test } from "vitest";
import { JOB_ID } from "../../src/ids.ts";
import { ulid } from "../src/index.ts";

test("an id has the form that the API requires, and sorts by time", () => {
	const time = fc.nat(2 ** 31).map((s) => s * 1000);
	fc.assert(
		fc.property(time, time, (a, b) => {
			expect(ulid(a)).toMatch(JOB_ID);
			if (a < b) expect(ulid(a) < ulid(b)).toBe(true);
		}),
	);
});

test("ids of the same moment differ", () => {
	const ids = Array.from({ length: 10_000 }, () => ulid(1));
	expect(new Set(ids).size).toBe(ids.length);
});
