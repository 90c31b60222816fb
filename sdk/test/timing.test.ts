import fc from "fast-check";
import { expect, test } from "vitest";
import { backoff, sleep } from "../src/timing.ts";

test("waits grow up to 8 s, and at most half of each is random", () => {
	fc.assert(
		fc.property(
			fc.nat(2_000),
			fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
			(n, random) => {
				const most = Math.min(8_000, 200 * 2 ** n);
				const wait = backoff(n, random);
				expect(wait).toBeGreaterThanOrEqual(most / 2);
				expect(wait).toBeLessThanOrEqual(most);
			},
		),
	);
});

test("a wait ends at once when its signal aborts, with the signal's reason", async () => {
	const controller = new AbortController();
	const waiting = sleep(60_000, controller.signal);
	controller.abort(new Error("enough"));
	await expect(waiting).rejects.toThrow("enough");
	await expect(sleep(1, controller.signal)).rejects.toThrow("enough");
});
