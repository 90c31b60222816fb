import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
	forecast,
	missFactor,
	overtaking,
	type PoolSnapshot,
	quote,
} from "../../src/pool/eta.ts";
import {
	type Measurements,
	noMeasurements,
} from "../../src/pool/measurements.ts";

/** Each job takes ten seconds, its first token two; a worker a minute. */
const known: Measurements = {
	...noMeasurements(),
	services: Array.from({ length: 30 }, () => ({
		firstTokenMs: 2_000,
		tokens: 100,
		budget: 300,
		ms: 10_000,
	})),
	colds: Array<number>(8).fill(60_000),
	joins: Array.from({ length: 60 }, () => ({ ms: 90_000, came: true })),
};

/** One worker with two slots, both taken: one job began just now, one four seconds ago. */
const busy: PoolSnapshot = {
	ready: [
		{
			slots: 2,
			leases: [
				{ ageMs: 0, tokens: 300 },
				{ ageMs: 4_000, tokens: 300 },
			],
		},
	],
	absent: [],
	back: [],
	coldMs: null,
	waiting: Array<number>(10).fill(300),
	arrivals: (count) => Array.from({ length: count }, () => () => 0),
};

const at = (
	position: number,
	view: PoolSnapshot = busy,
	kept: Measurements = known,
	part: Partial<Parameters<typeof quote>[1]> = {},
) =>
	quote(
		forecast(view, kept),
		{ position, agoMs: 0, overtaking: () => 0, tokens: 300, ...part },
		kept.misses,
	).eta;

describe("an estimate", () => {
	it("starts a job when the leases before it end, and counts its own time from there", () => {
		expect(at(1)).toEqual({
			start: { p50: 6_000, p90: 6_000 },
			first_token: { p50: 8_000, p90: 8_000 },
			finish: { p50: 16_000, p90: 16_000 },
			cold: false,
		});
		expect(at(2).start.p50).toBe(10_000);
		expect(at(3).start.p50).toBe(16_000);
		expect(at(10).start.p50).toBe(50_000);
	});

	it("goes on counting down while its forecast gets older", () => {
		const later = at(3, busy, known, { agoMs: 5_000 });
		expect(later.start.p50).toBe(11_000);
		expect(at(1, busy, known, { agoMs: 50_000 }).start.p50).toBe(0);
	});

	it("goes on beyond what is played at the same pace", () => {
		expect(at(1_001).start.p50 / 5_000_000).toBeCloseTo(1, 2);
	});

	it("waits for a first worker where none is ready, and says so", () => {
		const cold = { ...busy, ready: [], coldMs: 0 };
		const absent = [
			{ slots: 2, ageMs: 0 },
			{ slots: 0, ageMs: 0 },
		];
		const eta = at(1, { ...cold, absent });
		expect(eta.cold).toBe(true);
		expect(eta.start).toEqual({ p50: 60_000, p90: 60_000 });
		// The other worker comes half a minute later, with four slots for all that is known.
		expect(at(6, { ...cold, absent }).start.p50).toBe(80_000);
		expect(at(8, { ...cold, absent }).start.p50).toBe(90_000);
		const since = { ...cold, absent, coldMs: 50_000 };
		expect(at(1, since).start.p50).toBe(10_000);
	});

	it("counts on a worker whose circuit is open from when it lets a job try", () => {
		const ready = [{ slots: 1, leases: [{ ageMs: 0, tokens: 300 }] }];
		const back = [{ slots: 1, inMs: 3_000 }];
		expect(at(1, { ...busy, ready, back }).start.p50).toBe(3_000);
	});

	it("counts jobs that will come and be served before", () => {
		// One job a second; of those of others that come, half go before, three of them at most.
		const coming = {
			...busy,
			arrivals: (count: number) =>
				Array.from({ length: count }, () => (ms: number) => ms / 1_000),
		};
		const half = overtaking([{ jobs: 3, share: 0.5 }]);
		expect(at(1, coming, known, { overtaking: half }).start.p50).toBe(20_000);
	});

	it("knows that a job that may say less ends sooner", () => {
		const short = at(1, busy, known, { tokens: 50 });
		expect(short.finish.p50).toBe(6_000 + 2_000 + 4_000);
	});

	it("moves its p90 to where nine in ten quotes would have been right", () => {
		const misses = (by: number) => ({
			...known,
			misses: Array<number>(128).fill(by),
		});
		expect(missFactor(6_000, 13_000)).toBe(2);
		expect(at(1, busy, misses(2)).start).toEqual({ p50: 6_000, p90: 13_000 });
		// Never before the p50.
		expect(at(1, busy, misses(0.1)).start).toEqual({ p50: 6_000, p90: 6_000 });
	});

	const service = fc.record({
		firstTokenMs: fc.option(fc.nat({ max: 5_000 })),
		tokens: fc.integer({ min: 0, max: 1_000 }),
		budget: fc.integer({ min: 1, max: 1_000 }),
		ms: fc.integer({ min: 5_000, max: 100_000 }),
	});
	const kept = fc.record({
		services: fc.array(service, { maxLength: 40 }),
		colds: fc.array(fc.nat({ max: 200_000 }), { maxLength: 10 }),
		joins: fc.array(
			fc.record({ ms: fc.nat({ max: 200_000 }), came: fc.boolean() }),
			{ maxLength: 10 },
		),
		misses: fc.array(fc.double({ min: 0.1, max: 10, noNaN: true }), {
			maxLength: 10,
		}),
	});
	const lease = fc.record({
		ageMs: fc.nat({ max: 500_000 }),
		tokens: fc.integer({ min: 1, max: 1_000 }),
	});
	const view = fc
		.record({
			ready: fc.array(
				fc.record({
					slots: fc.integer({ min: 1, max: 8 }),
					leases: fc.array(lease, { maxLength: 10 }),
				}),
				{ maxLength: 3 },
			),
			absent: fc.array(
				fc.record({
					slots: fc.nat({ max: 8 }),
					ageMs: fc.nat({ max: 500_000 }),
				}),
				{ maxLength: 3 },
			),
			back: fc.array(
				fc.record({
					slots: fc.integer({ min: 1, max: 8 }),
					inMs: fc.nat({ max: 60_000 }),
				}),
				{ maxLength: 2 },
			),
			waiting: fc.array(fc.integer({ min: 1, max: 1_000 }), { maxLength: 50 }),
		})
		.map((part): PoolSnapshot => {
			const coldMs = part.ready.length + part.back.length > 0 ? null : 7_000;
			return { ...part, coldMs, arrivals: busy.arrivals };
		});

	it("is finite and in order in any state, and the same for the same", () => {
		fc.assert(
			fc.property(
				view,
				kept,
				fc.integer({ min: 1, max: 500 }),
				(view, kept, position) => {
					const eta = at(position, view, kept);
					for (const { p50, p90 } of [eta.start, eta.first_token, eta.finish]) {
						expect(p50).toBeGreaterThanOrEqual(0);
						expect(p90).toBeGreaterThanOrEqual(p50);
						expect(p90).toBeLessThan(Number.POSITIVE_INFINITY);
					}
					for (const q of ["p50", "p90"] as const) {
						expect(eta.first_token[q]).toBeGreaterThanOrEqual(eta.start[q]);
						expect(eta.finish[q]).toBeGreaterThanOrEqual(eta.first_token[q]);
					}
					expect(at(position, view, kept)).toEqual(eta);
				},
			),
			{ numRuns: 50 },
		);
	});

	it("is no sooner for a job that is further back", () => {
		fc.assert(
			fc.property(view, kept, (view, kept) => {
				const starts = [1, 2, 5, 20, 100, 400, 2_000].map(
					(position) => at(position, view, kept).start.p50,
				);
				expect(starts).toEqual([...starts].sort((a, b) => a - b));
			}),
			{ numRuns: 25 },
		);
	});
});

describe("overtaking", () => {
	it("fills each account's room by its share, and no further", () => {
		const room = fc.record({
			jobs: fc.integer({ min: 1, max: 50 }),
			share: fc.double({ min: 0.001, max: 1, noNaN: true }),
		});
		fc.assert(
			fc.property(
				fc.array(room, { maxLength: 20 }),
				fc.nat({ max: 1_000 }),
				(rooms, jobs) => {
					const simple = rooms.reduce(
						(sum, room) => sum + Math.min(room.jobs, room.share * jobs),
						0,
					);
					expect(overtaking(rooms)(jobs)).toBeCloseTo(simple, 6);
				},
			),
		);
	});
});
