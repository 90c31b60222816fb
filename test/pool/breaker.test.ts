import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
	admissible,
	afterEnd,
	afterLoss,
	afterStart,
	type Breaker,
	CLOSED,
} from "../../src/pool/breaker.ts";

const fail = (breaker: Breaker, job: string, now: number) =>
	afterEnd(breaker, job, false, now);

/** Three jobs failed at 1,000. */
const open = ["a", "b", "c"].reduce(
	(breaker, job) => fail(breaker, job, 1_000),
	CLOSED,
);

describe("a circuit breaker", () => {
	it("opens after three jobs in a row that failed, for five seconds", () => {
		expect(admissible(open, 1_000)).toBe(0);
		expect(admissible(open, 5_999)).toBe(0);
		expect(admissible(open, 6_000)).toBe(1);
	});

	it("counts jobs, so that a poison job closes no worker to others", () => {
		let breaker = CLOSED;
		for (let n = 0; n < 20; n++) breaker = fail(breaker, "poison", n);
		expect(admissible(breaker, 20)).toBe(Number.POSITIVE_INFINITY);
	});

	it("forgets failures when a job ends well", () => {
		const before = fail(fail(CLOSED, "a", 0), "b", 0);
		const after = fail(afterEnd(before, "c", true, 0), "d", 0);
		expect(admissible(after, 0)).toBe(Number.POSITIVE_INFINITY);
	});

	it("then lets one job try: it closes, or stays open twice as long, a minute at most", () => {
		const trying = afterStart(open, "t");
		expect(admissible(trying, 6_000)).toBe(0);
		expect(afterEnd(trying, "t", true, 6_500)).toEqual(CLOSED);
		let breaker = open;
		const times: number[] = [];
		for (let n = 0; n < 6; n++) {
			const at = breaker.openUntil as number;
			breaker = fail(afterStart(breaker, "t"), "t", at);
			times.push((breaker.openUntil as number) - at);
		}
		expect(times).toEqual([10_000, 20_000, 40_000, 60_000, 60_000, 60_000]);
	});

	it("lets another one try when that one went away", () => {
		const trying = afterStart(open, "t");
		expect(admissible(afterLoss(trying, "other"), 6_000)).toBe(0);
		expect(admissible(afterLoss(trying, "t"), 6_000)).toBe(1);
	});

	it("whatever happens: one try at a time, open for a minute at most, closed by a good end", () => {
		const step = fc.record({
			job: fc.constantFrom("a", "b", "c", "d"),
			what: fc.constantFrom("start", "well", "failed", "gone"),
			ms: fc.nat({ max: 30_000 }),
		});
		fc.assert(
			fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
				let breaker = CLOSED;
				let now = 0;
				for (const { job, what, ms } of steps) {
					now += ms;
					const before = breaker;
					if (what === "start") {
						if (admissible(breaker, now) === 0) continue;
						breaker = afterStart(breaker, job);
						if (before.openUntil !== null)
							expect(admissible(breaker, now)).toBe(0);
					} else if (what === "gone") breaker = afterLoss(breaker, job);
					else breaker = afterEnd(breaker, job, what === "well", now);
					if (before.openUntil !== null && breaker.openUntil === null)
						expect([what, job]).toEqual(["well", before.trying]);
					expect((breaker.openUntil ?? now) - now).toBeLessThanOrEqual(60_000);
				}
				// It is never open for good.
				const later = breaker.trying
					? afterLoss(breaker, breaker.trying)
					: breaker;
				expect(admissible(later, now + 60_000)).toBeGreaterThan(0);
			}),
		);
	});
});
