import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
	type Health,
	NO_SUCCESS_MS,
	resultOf,
	type TryOutcome,
} from "../../src/endpoint/result.ts";
import { DELAYS_MS } from "../../src/endpoint/schedule.ts";

const START = 1_796_000_000_000;
const good: TryOutcome = { httpStatus: 200, error: null };
const bad = fc.constantFrom<TryOutcome>(
	{ httpStatus: 500, error: "Answered 500." },
	{ httpStatus: 302, error: "Answered 302." },
	{ httpStatus: null, error: "No answer." },
);
const gone: TryOutcome = { httpStatus: 410, error: "Answered 410." };
const NEW: Health = { failingSince: null, lastSuccessAt: null };
const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const tries = fc.integer({ min: 1, max: DELAYS_MS.length });
/**
 * Tries of many deliveries, one after the other: how long after the last one, and how each went.
 */
const history = fc.array(
	fc.record({
		wait: fc.integer({ min: 0, max: 2 * 86_400_000 }),
		tried: fc.oneof(bad, fc.constant(good)),
	}),
	{ minLength: 1, maxLength: 60 },
);

describe("a try", () => {
	it("that is accepted ends its delivery and heals the webhook", () =>
		fc.assert(
			fc.property(tries, random, (tries, random) => {
				const sick = { failingSince: 1, lastSuccessAt: null };
				expect(resultOf(sick, tries, good, random, START)).toEqual({
					status: "delivered",
					nextAt: null,
					disable: null,
					health: { failingSince: null, lastSuccessAt: START },
				});
			}),
		));

	it("that fails is followed by another one, later, but for the tenth", () =>
		fc.assert(
			fc.property(tries, bad, random, (tries, bad, random) => {
				const { status, nextAt } = resultOf(NEW, tries, bad, random, START);
				if (tries === DELAYS_MS.length)
					expect({ status, nextAt }).toEqual({
						status: "gave_up",
						nextAt: null,
					});
				else {
					expect(status).toBe("failed");
					expect(nextAt).toBeGreaterThanOrEqual(
						START + (DELAYS_MS[tries] as number),
					);
				}
			}),
		));

	it("answered with 410 disables the webhook at once", () =>
		fc.assert(
			fc.property(tries, random, (tries, random) => {
				const well = { failingSince: null, lastSuccessAt: START - 1 };
				expect(resultOf(well, tries, gone, random, START).disable).toBe("gone");
			}),
		));
});

it("a webhook is disabled just when five days of failures had no success among them", () =>
	fc.assert(
		fc.property(history, (history) => {
			let health = NEW;
			let now = START;
			let failing: number | null = null;
			for (const { wait, tried } of history) {
				now += wait;
				const verdict = resultOf(health, 1, tried, 0, now);
				health = verdict.health;
				if (tried.error === null) failing = null;
				else failing ??= now;
				const long = failing !== null && now - failing >= NO_SUCCESS_MS;
				expect(verdict.disable).toBe(long ? "no_success" : null);
			}
		}),
	));
