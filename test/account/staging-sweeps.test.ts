import fc from "fast-check";
import { expect, it } from "vitest";
import {
	nextSweep,
	PUT_TAKES_MS,
	SKEW_MS,
} from "../../src/account/staging-sweeps.ts";
import { PUT_VALID_MS } from "../../src/images/key.ts";

const EXPIRES = PUT_VALID_MS;
const HOUR = 60 * 60_000;

/**
 * A PUT: when it begins, which the store allows until the URL expires, by its clock, and when its
 * object is there.
 */
const put = fc
	.record({
		begins: fc.integer({ min: 0, max: EXPIRES + SKEW_MS }),
		takes: fc.oneof(
			fc.integer({ min: 0, max: 60_000 }),
			fc.integer({ min: 0, max: PUT_TAKES_MS }),
			fc.constant(PUT_TAKES_MS),
		),
	})
	.map(({ begins, takes }) => begins + takes);
/** How late the alarm of a look rings, and whether the store fails it. */
const look = fc.record({
	late: fc.oneof(
		fc.constant(0),
		fc.integer({ min: 0, max: 60_000 }),
		fc.integer({ min: 0, max: 3 * 24 * HOUR }),
	),
	fails: fc.boolean(),
});

it("whatever PUTs end when, however late or in vain the looks, nothing stays in staging", () => {
	fc.assert(
		fc.property(
			fc.array(put, { maxLength: 8 }),
			fc.array(look, { minLength: 12, maxLength: 12 }),
			fc.integer({ min: 0, max: HOUR }),
			(puts, looks, finalizedAt) => {
				let lying: number[] = puts;
				let due: number | null = finalizedAt;
				for (const { late, fails } of looks) {
					if (due === null) break;
					const begins: number = due + late;
					if (fails) {
						due = begins + 30_000;
						continue;
					}
					// At worst the store deletes what was there at the question; what ends meanwhile stays.
					lying = lying.filter((at) => at > begins);
					due = nextSweep(0, begins);
				}
				// Those that failed are tried again until they do not.
				for (let more = 0; due !== null && more < 8; more++) {
					const begins: number = due;
					lying = lying.filter((at) => at > begins);
					due = nextSweep(0, begins);
				}
				expect(due).toBeNull();
				expect(lying).toEqual([]);
			},
		),
	);
});

it("an upload is looked for a few times, and a PUT that is not too slow soon after its end", () => {
	const looks: number[] = [];
	for (let at: number | null = 0; at !== null; at = nextSweep(0, at))
		looks.push(at);
	expect(looks.length).toBeLessThanOrEqual(6);
	const goneAfter = (end: number) =>
		(looks.find((at) => at >= end) as number) - end;
	for (const minutes of [0, 1, 5, 14, 15, 20, 40])
		expect(goneAfter(minutes * 60_000)).toBeLessThanOrEqual(2 * HOUR);
});
