import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
	type AutoTopUp,
	type AutoTopUpEvent,
	advance,
	autoTopUpView,
	NO_AUTO_TOP_UP,
} from "../../src/account/auto-top-up.ts";

const HOUR = 3_600_000;
const NOV_30 = Date.parse("2026-11-30T12:00:00Z");
const RULE = { below: 10, amount: 20, monthlyCap: 50 };
const BALANCE = { type: "balance", available: 3 } as const;
const CARD = { type: "card_saved", customer: "cus_1" } as const;

const all = (events: AutoTopUpEvent[], now = NOV_30): AutoTopUp =>
	events.reduce((state, event) => advance(state, event, now), NO_AUTO_TOP_UP);
const RULED = { type: "ruled", rule: RULE } as const;
const status = (state: AutoTopUp, now = NOV_30) =>
	autoTopUpView(state, now).status;

const event: fc.Arbitrary<AutoTopUpEvent> = fc.oneof(
	{
		weight: 6,
		arbitrary: fc
			.integer({ min: 0, max: 30 })
			.map((available) => ({ type: "balance" as const, available })),
	},
	fc.constantFrom<AutoTopUpEvent>(
		{ type: "paid" },
		{ type: "declined" },
		{ type: "no_answer" },
		CARD,
		{ type: "card_saved", customer: "cus_2" },
		RULED,
		{ type: "ruled", rule: null },
	),
);
const history = fc.array(
	fc.record({ event, hours: fc.integer({ min: 0, max: 200 }) }),
	{ maxLength: 80 },
);

describe("an automatic top-up", () => {
	it("charges where less is left than the rule says, once at a time", () => {
		const state = all([CARD, RULED, { type: "balance", available: 9 }]);
		expect(state.pending).toEqual({
			customer: "cus_1",
			amount: 20,
			since: NOV_30,
		});
		expect(advance(state, BALANCE, NOV_30)).toBe(state);
		const enough = all([CARD, RULED, { type: "balance", available: 10 }]);
		expect(enough.pending).toBe(null);
	});

	it("charges no card that was not saved, and none without a rule", () => {
		expect(all([RULED, BALANCE]).pending).toBe(null);
		expect(all([CARD, BALANCE]).pending).toBe(null);
		expect(
			all([CARD, RULED, { type: "ruled", rule: null }, BALANCE]).pending,
		).toBe(null);
	});

	it("tries no card again that was refused, before a person does something", () => {
		const declined = all([CARD, RULED, BALANCE, { type: "declined" }]);
		expect([status(declined), declined.charged]).toEqual(["declined", 0]);
		expect(advance(declined, BALANCE, NOV_30 + 999 * HOUR).pending).toBe(null);
		for (const act of [RULED, CARD])
			expect(
				advance(advance(declined, act, NOV_30), BALANCE, NOV_30).pending,
			).not.toBe(null);
	});

	it("asks for most of a day how a charge ended, then has a person look", () => {
		const state = all([CARD, RULED, BALANCE]);
		const later = (hours: number) =>
			advance(state, { type: "no_answer" }, NOV_30 + hours * HOUR);
		expect(status(later(19))).toBe("charging");
		// What may have been charged stays in the month's sum.
		expect([status(later(20)), later(20).charged]).toEqual(["unclear", 20]);
	});

	it("stops at the month's cap, and goes on in the next month", () => {
		const paid = { type: "paid" } as const;
		const twice = all([CARD, RULED, BALANCE, paid, BALANCE, paid]);
		expect([twice.charged, status(twice)]).toEqual([40, "capped"]);
		expect(advance(twice, BALANCE, NOV_30).pending).toBe(null);
		const december = NOV_30 + 12 * HOUR;
		const next = advance(twice, BALANCE, december);
		expect([next.charged, next.count]).toEqual([20, 3]);
		expect(autoTopUpView(twice, december)).toMatchObject({
			status: "ready",
			charged: 0,
		});
	});

	it("never charges more in a month than the cap, nor two at a time, whatever happens", () => {
		fc.assert(
			fc.property(history, (steps) => {
				let [state, now] = [NO_AUTO_TOP_UP, NOV_30];
				const begun = new Map<string, number>();
				for (const { event, hours } of steps) {
					now += hours * HOUR;
					const before = state;
					state = advance(before, event, now);
					if (!state.pending || state.pending === before.pending) {
						if (event.type === "declined" && before.pending) {
							const month = new Date(before.pending.since)
								.toISOString()
								.slice(0, 7);
							begun.set(month, (begun.get(month) ?? 0) - before.pending.amount);
						}
						continue;
					}
					expect(before.pending).toBe(null);
					expect(before.stopped).toBe(null);
					expect(state.count).toBe(before.count + 1);
					expect(state.pending.amount).toBe(RULE.amount);
					const month = new Date(now).toISOString().slice(0, 7);
					begun.set(month, (begun.get(month) ?? 0) + RULE.amount);
					for (const sum of begun.values())
						expect(sum).toBeLessThanOrEqual(RULE.monthlyCap);
				}
			}),
			{ numRuns: 500 },
		);
	});
});
