import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
	addMeasurement,
	coldStarts,
	drawJoin,
	drawRemaining,
	joinCurve,
	noMeasurements,
	type ServedJob,
	serviceTimes,
	type WorkerStart,
} from "../../src/pool/measurements.ts";

const service = (part: Partial<ServedJob> = {}): ServedJob => ({
	firstTokenMs: 1_000,
	tokens: 100,
	budget: 300,
	ms: 6_000,
	...part,
});
const measured = (services: ServedJob[]) => ({ ...noMeasurements(), services });
const many = (part: Partial<ServedJob>) =>
	Array.from({ length: 30 }, () => service(part));

describe("what was measured", () => {
	it("is the newest only", () => {
		const kept = noMeasurements();
		for (let n = 0; n < 1_000; n++) {
			addMeasurement(kept, "services", service({ ms: n }));
			addMeasurement(kept, "misses", n);
		}
		expect(kept.services).toHaveLength(256);
		expect(kept.services.at(-1)?.ms).toBe(999);
		expect(kept.misses).toHaveLength(128);
		expect(JSON.stringify(kept).length).toBeLessThan(32_000);
	});
});

describe("how long jobs take", () => {
	it("is a guess by their budget until there are measurements, and then what was measured", () => {
		const guess = serviceTimes(noMeasurements(), 300);
		expect(guess.mean).toBeGreaterThan(1_000);
		expect(serviceTimes(noMeasurements(), 30).mean).toBeLessThan(guess.mean);
		expect(serviceTimes(measured(many({ ms: 7_000 })), 300)).toMatchObject({
			mean: 7_000,
			error: 0,
		});
	});

	it("goes from the guess to the measurements without a jump", () => {
		const means = [0, 6, 12, 18, 24].map(
			(n) => serviceTimes(measured(many({ ms: 90_000 }).slice(0, n)), 300).mean,
		);
		expect(means).toEqual([...means].sort((a, b) => a - b));
		expect(means.at(-1)).toBe(90_000);
	});

	it("is told of a small budget by large ones, cut", () => {
		const large = many({ tokens: 200, budget: 300, ms: 21_000 });
		const small = many({ tokens: 10, budget: 10, ms: 2_000 });
		const both = measured([...large, ...small]);
		expect(serviceTimes(both, 300).mean).toBe(21_000);
		// A second to the first token, 100 ms each.
		expect(serviceTimes(measured(large), 50).mean).toBe(6_000);
		expect(serviceTimes(measured(small), 300).mean).toBe(2_000);
	});

	it("is less sure the fewer and the more different the measurements are", () => {
		const spread = (n: number) =>
			measured(
				Array.from({ length: n }, (_, k) => service({ ms: 1_000 * (k % 7) })),
			);
		expect(serviceTimes(spread(30), 300).error).toBeGreaterThan(
			serviceTimes(spread(240), 300).error,
		);
	});
});

describe("what is left of something", () => {
	const rising = Float64Array.from([1_000, 2_000, 4_000, 8_000]);

	it("is drawn from what took longer than it has", () => {
		expect([0, 0.5, 0.99].map((u) => drawRemaining(rising, 1_500, u))).toEqual([
			500, 2_500, 6_500,
		]);
	});

	it("is never negative or infinite, however long it has taken", () => {
		fc.assert(
			fc.property(
				fc.nat({ max: 100_000 }),
				fc.double({ min: 0, max: 0.999, noNaN: true }),
				(age, u) => {
					const left = drawRemaining(rising, age, u);
					expect(left).toBeGreaterThanOrEqual(0);
					expect(left).toBeLessThanOrEqual(Math.max(8_000, age));
				},
			),
		);
	});

	it("of a cold start is a minute or so before any was measured", () => {
		expect(coldStarts(noMeasurements())[2]).toBe(60_000);
		const known = { ...noMeasurements(), colds: Array<number>(5).fill(20_000) };
		expect([...coldStarts(known)]).toEqual(Array(5).fill(20_000));
	});
});

describe("when a worker comes", () => {
	const joins = (came: WorkerStart[]) =>
		joinCurve({ ...noMeasurements(), joins: came });

	it("is when they came, and never where they did not", () => {
		const always = joins(
			Array.from({ length: 40 }, () => ({ ms: 50_000, came: true })),
		);
		expect(drawJoin(always, 0, 0.9)).toBe(50_000);
		expect(drawJoin(always, 20_000, 0.9)).toBe(30_000);
		const never = joins(
			Array.from({ length: 40 }, () => ({ ms: 600_000, came: false })),
		);
		expect(drawJoin(never, 0, 0.5)).toBe(Number.POSITIVE_INFINITY);
	});

	it("counts a wait that was cut short for as long as it was", () => {
		const cut = Array.from({ length: 40 }, () => ({ ms: 10_000, came: false }));
		const came = Array.from({ length: 40 }, () => ({ ms: 50_000, came: true }));
		expect(drawJoin(joins([...cut, ...came]), 0, 0.5)).toBe(50_000);
	});
});
