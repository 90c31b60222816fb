import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
	type Bucket,
	bucketLevel,
	consume,
	EMPTY,
	giveBack,
	type Rate,
} from "../../src/durable/rate-limit.ts";

const rate: fc.Arbitrary<Rate> = fc.record({
	quota: fc.integer({ min: 1, max: 2_000 }),
	windowMs: fc.constantFrom(1_000, 60_000, 3_600_000),
});
/** Milliseconds between one request and the next: bursts, a steady flow, pauses. */
const gaps = fc.array(
	fc.oneof(
		fc.constant(0),
		fc.integer({ min: 0, max: 200 }),
		fc.integer({ min: 0, max: 120_000 }),
	),
	{ minLength: 1, maxLength: 300 },
);
const START = 1_796_000_000_000;

/** The times of the requests that were admitted. */
function admitted(rate: Rate, gaps: number[]): number[] {
	let bucket: Bucket = EMPTY;
	let now = START;
	const times: number[] = [];
	for (const gap of gaps) {
		now += gap;
		const taken = consume(bucket, rate, now);
		if (taken.admitted) times.push(now);
		bucket = taken.bucket;
	}
	return times;
}

describe("the rate", () => {
	it("in any stretch of time is the quota and what came back meanwhile, and never more", () => {
		fc.assert(
			fc.property(rate, gaps, (rate, gaps) => {
				const times = admitted(rate, gaps);
				for (const [first, from] of times.entries())
					for (const [last, to] of times.entries())
						if (last >= first)
							expect(last - first + 1).toBeLessThanOrEqual(
								rate.quota + ((to - from) * rate.quota) / rate.windowMs,
							);
			}),
			{ numRuns: 50 },
		);
	});

	it("lets the whole quota through at once, and then one more for each share of the window", () => {
		fc.assert(
			fc.property(rate, (rate) => {
				const burst = Array<number>(rate.quota + 3).fill(0);
				expect(admitted(rate, burst)).toHaveLength(rate.quota);
				const share = Math.ceil(rate.windowMs / rate.quota);
				const steady = [...burst, share, share, share];
				expect(admitted(rate, steady)).toHaveLength(rate.quota + 3);
			}),
		);
	});

	it("never refuses who keeps to it", () => {
		fc.assert(
			fc.property(rate, fc.integer({ min: 1, max: 300 }), (rate, count) => {
				const share = Math.ceil(rate.windowMs / rate.quota);
				expect(admitted(rate, Array<number>(count).fill(share))).toHaveLength(
					count,
				);
			}),
		);
	});

	it("tells how many are left, and when there will be one more and all of them: exactly", () => {
		fc.assert(
			fc.property(rate, gaps, (rate, gaps) => {
				let bucket: Bucket = EMPTY;
				let now = START;
				for (const gap of gaps) {
					now += gap;
					bucket = consume(bucket, rate, now).bucket;
				}
				const { remaining, waitMs, wholeMs } = bucketLevel(bucket, rate, now);
				let left = bucket;
				for (let n = 0; n < remaining; n++) {
					const taken = consume(left, rate, now);
					expect(taken.admitted).toBe(true);
					left = taken.bucket;
				}
				expect(consume(left, rate, now).admitted).toBe(false);
				expect(consume(bucket, rate, now + waitMs).admitted).toBe(true);
				if (waitMs > 0)
					expect(consume(bucket, rate, now + waitMs - 1).admitted).toBe(false);
				expect(bucketLevel(bucket, rate, now + wholeMs).remaining).toBe(
					rate.quota,
				);
			}),
			{ numRuns: 50 },
		);
	});

	it("is as if a request had taken only what it did not give back", () => {
		fc.assert(
			fc.property(
				rate,
				fc.integer({ min: 0, max: 100 }),
				fc.integer({ min: 0, max: 100 }),
				fc.integer({ min: 0, max: 5_000 }),
				(rate, used, unused, ms) => {
					fc.pre(used + unused <= rate.quota);
					const { bucket } = consume(EMPTY, rate, START, used + unused);
					const later = START + ms;
					const given = giveBack(bucket, rate, later, unused);
					const exact = consume(EMPTY, rate, START, used).bucket;
					const left = (of: Bucket) => bucketLevel(of, rate, later);
					// What has leaked of the part that is given back is not given twice.
					expect(left(given).remaining).toBe(left(exact).remaining);
					expect(left(given).remaining).toBeLessThanOrEqual(rate.quota);
				},
			),
		);
	});

	it("takes nothing with a refusal, and nothing from a clock that is set back", () => {
		const one: Rate = { quota: 1, windowMs: 60_000 };
		const { bucket } = consume(EMPTY, one, START);
		for (const now of [START, START - 3_600_000, START + 59_999]) {
			const refused = consume(bucket, one, now);
			expect(refused).toMatchObject({ admitted: false, bucket });
		}
		expect(consume(bucket, one, START + 60_000).admitted).toBe(true);
	});
});
