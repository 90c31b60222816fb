import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
	abandoned,
	admits,
	type Breaker,
	closed,
	ended,
	started,
} from "../../src/pool/breaker.ts";

const fail = (breaker: Breaker, job: string, now: number) =>
	ended(breaker, job, false, now);

/** Three jobs failed at 1,000. */
const open = ["a", "b", "c"].reduce(
	(breaker, job) => fail(breaker, job, 1_000),
	closed,
);

describe("a circuit breaker", () => {
	it("opens after three jobs in a row that failed, for five seconds", () => {
		expect(admits(open, 1_000)).toBe(0);
		expect(admits(open, 5_999)).toBe(0);
		expect(admits(open, 6_000)).toBe(1);
	});

	it("counts jobs, so that a poison job closes no worker to others", () => {
		let breaker = closed;
		for (let n = 0; n < 20; n++) breaker = fail(breaker, "poison", n);
		expect(admits(breaker, 20)).toBe(Number.POSITIVE_INFINITY);
	});

	it("forgets failures when a job ends well", () => {
		const before = fail(fail(closed, "a", 0), "b", 0);
		const after = fail(ended(before, "c", true, 0), "d", 0);
		expect(admits(after, 0)).toBe(Number.POSITIVE_INFINITY);
	});

	it("then lets one job try: it closes again, or stays open for twice as long, a minute at most", () => {
		const trying = started(open, "t");
		expect(admits(trying, 6_000)).toBe(0);
		expect(ended(trying, "t", true, 6_500)).toEqual(closed);
		let breaker = open;
		const times: number[] = [];
		for (let n = 0; n < 6; n++) {
			const at = breaker.openUntil as number;
			breaker = fail(started(breaker, "t"), "t", at);
			times.push((breaker.openUntil as number) - at);
		}
		expect(times).toEqual([10_000, 20_000, 40_000, 60_000, 60_000, 60_000]);
	});

	it("lets another one try when that one went away", () => {
		const trying = started(open, "t");
		expect(admits(abandoned(trying, "other"), 6_000)).toBe(0);
		expect(admits(abandoned(trying, "t"), 6_000)).toBe(1);
	});

	it("whatever happens: never two try at once, never open for more than a minute, closed only by a job that ended well", () => {
		const step = fc.record({
			job: fc.constantFrom("a", "b", "c", "d"),
			what: fc.constantFrom("start", "well", "failed", "gone"),
			ms: fc.nat({ max: 30_000 }),
		});
		fc.assert(
			fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
				let breaker = closed;
				let now = 0;
				for (const { job, what, ms } of steps) {
					now += ms;
					const before = breaker;
					if (what === "start") {
						if (admits(breaker, now) === 0) continue;
						breaker = started(breaker, job);
						if (before.openUntil !== null) expect(admits(breaker, now)).toBe(0);
					} else if (what === "gone") breaker = abandoned(breaker, job);
					else breaker = ended(breaker, job, what === "well", now);
					if (before.openUntil !== null && breaker.openUntil === null)
						expect([what, job]).toEqual(["well", before.trying]);
					expect((breaker.openUntil ?? now) - now).toBeLessThanOrEqual(60_000);
				}
				// It is never open for good.
				const later = breaker.trying
					? abandoned(breaker, breaker.trying)
					: breaker;
				expect(admits(later, now + 60_000)).toBeGreaterThan(0);
			}),
		);
	});
});
