import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DELAYS_MS, JITTER, nextTry } from "../../src/endpoint/schedule.ts";

const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const now = fc.integer({ min: 0, max: 4e12 });

describe("the schedule", () => {
	it("is Standard Webhooks'", () => {
		expect(DELAYS_MS.map((ms) => ms / 1000)).toEqual([
			0, 5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400,
		]);
	});

	it("jitter only lengthens a delay, and by no more than a tenth", () =>
		fc.assert(
			fc.property(
				fc.integer({ min: 0, max: DELAYS_MS.length - 1 }),
				random,
				now,
				(tries, random, now) => {
					const delay = DELAYS_MS[tries] as number;
					const waits = (nextTry(tries, random, now) as number) - now;
					expect(waits).toBeGreaterThanOrEqual(delay);
					expect(waits).toBeLessThanOrEqual(delay * (1 + JITTER));
				},
			),
		));

	it("ends after ten tries, whatever chance says", () =>
		fc.assert(
			fc.property(random, now, (random, now) => {
				let tries = 0;
				while (nextTry(tries, random, now) !== null) tries++;
				expect(tries).toBe(10);
			}),
		));
});
