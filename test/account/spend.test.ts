import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
	addPrice,
	checkSpend,
	nothingSpent,
	type Spend,
	type Spent,
	spentAt,
} from "../../src/account/spend.ts";

const HOUR = 60 * 60_000;
/** Near the end of a day, and of a month. */
const START = Date.parse("2026-10-30T20:00:00Z");

type Step = { after: number } & (
	| { kind: "ask"; price: number }
	| { kind: "end"; share: number }
);
const after = fc.integer({ min: 0, max: 9 * HOUR });
const step: fc.Arbitrary<Step> = fc.oneof(
	fc.record({
		kind: fc.constant("ask" as const),
		price: fc.integer({ min: 0, max: 400 }),
		after,
	}),
	fc.record({
		kind: fc.constant("end" as const),
		share: fc.double({ min: 0, max: 1, noNaN: true }),
		after,
	}),
);
const limit = fc.option(fc.integer({ min: 0, max: 1_500 }));
const limits = fc.record({ day: limit, month: limit, total: limit });

const day = (at: number) => new Date(at).toISOString().slice(0, 10);
const month = (at: number) => day(at).slice(0, 7);

describe("the limits of a key", () => {
	it("are never passed by what it settles in a day, a month, or in all with what it holds", () => {
		const answers = new Set<string>();
		fc.assert(
			fc.property(limits, fc.array(step, { maxLength: 60 }), (max, steps) => {
				let now = START;
				let spent: Spent = nothingSpent(now);
				const open: number[] = [];
				const settled: { at: number; price: number }[] = [];
				const sum = (of: (at: number) => boolean) =>
					settled.reduce((n, { at, price }) => n + (of(at) ? price : 0), 0);
				for (const each of steps) {
					now += each.after;
					const held = open.reduce((n, hold) => n + hold, 0);
					if (each.kind === "end") {
						const hold = open.shift();
						if (hold === undefined) continue;
						const price = Math.floor(hold * each.share);
						spent = addPrice(spent, price, now);
						settled.push({ at: now, price });
					} else {
						const { price } = each;
						const spend: Spend = { limits: max, spent, held };
						const checked = checkSpend(spend, price, now);
						const counted = {
							day: held + sum((at) => day(at) === day(now)),
							month: held + sum((at) => month(at) === month(now)),
							total: held + sum(() => true),
						};
						const passed = (["total", "month", "day"] as const).find((name) => {
							const most = max[name];
							return most !== null && price > 0 && counted[name] + price > most;
						});
						answers.add(passed ?? "ok");
						if (passed === undefined) {
							expect(checked).toEqual({ ok: true });
							open.push(price);
						} else
							expect(checked).toMatchObject({
								failure: {
									code: "spend_limit_reached",
									period: passed,
									spent: counted[passed] - held,
									held,
									left: Math.max(0, (max[passed] ?? 0) - counted[passed]),
								},
							});
					}
					const known = spentAt(spent, now);
					expect(known.total).toBe(sum(() => true));
					for (const { at } of settled) {
						const inDay = sum((other) => day(other) === day(at));
						expect(inDay).toBeLessThanOrEqual(max.day ?? inDay);
						const inMonth = sum((other) => month(other) === month(at));
						expect(inMonth).toBeLessThanOrEqual(max.month ?? inMonth);
					}
					const all = known.total + open.reduce((n, hold) => n + hold, 0);
					expect(all).toBeLessThanOrEqual(max.total ?? all);
				}
			}),
			{ numRuns: 500 },
		);
		expect(answers).toEqual(new Set(["ok", "day", "month", "total"]));
	});

	it("say when they reset: at the next midnight of UTC, at the next month, or never", () => {
		const at = Date.parse("2026-12-31T23:59:59.999Z");
		const told = (name: string, now: number) => {
			const none = { day: null, month: null, total: null };
			const checked = checkSpend(
				{ limits: { ...none, [name]: 1 }, spent: nothingSpent(at), held: 1 },
				1,
				now,
			);
			return checked.ok ? null : checked.failure;
		};
		const resets = (time: string | null) => ({ resets_at: time });
		expect(told("day", at)).toMatchObject(resets("2027-01-01T00:00:00.000Z"));
		expect(told("month", at)).toMatchObject(resets("2027-01-01T00:00:00.000Z"));
		expect(told("day", at + 1)).toMatchObject(
			resets("2027-01-02T00:00:00.000Z"),
		);
		expect(told("month", at + 1)).toMatchObject(
			resets("2027-02-01T00:00:00.000Z"),
		);
		expect(told("total", at)).toMatchObject(resets(null));
	});

	it("are not reset by a clock that is set back", () => {
		const spent = addPrice(nothingSpent(START), 5, START);
		const later = addPrice(spent, 7, START + 24 * HOUR);
		expect(spentAt(later, START)).toEqual(later);
		expect(addPrice(later, 1, START)).toMatchObject({ day: 8, total: 13 });
	});
});
