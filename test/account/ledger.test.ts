import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
	BOOKS,
	decide,
	type Hold,
	type Ledger,
	type LedgerEvent,
	post,
} from "../../src/account/ledger.ts";

const empty: Ledger = {
	balances: { funding: 0, available: 0, held: 0, revenue: 0 },
	credits: new Map(),
	holds: new Map(),
};

/** The ledger after an event, as the Account's tables would hold it. */
function advance(ledger: Ledger, event: LedgerEvent, now: number): Ledger {
	const decision = decide(ledger, event, now);
	if (!decision.ok || (decision.entries.length === 0 && !decision.closing))
		return ledger;
	const credits = new Map(ledger.credits);
	const holds = new Map<string, Hold>(ledger.holds);
	if (event.kind === "credit") credits.set(event.id, event.amount);
	if (event.kind === "hold")
		holds.set(event.job, { amount: event.amount, closed: null });
	if (event.kind === "close") {
		const hold = holds.get(event.job) as Hold;
		holds.set(event.job, { ...hold, closed: decision.closing });
	}
	return { balances: post(ledger.balances, decision.entries), credits, holds };
}

const PRICE = 1000;
// Few ids, so that repeats, conflicts and closings of the unknown are common.
const id = fc.constantFrom("a", "b", "c", "d", "e");
const event: fc.Arbitrary<LedgerEvent> = fc.oneof(
	fc.record({
		kind: fc.constant("credit" as const),
		id,
		amount: fc.integer({ min: 1, max: 3 * PRICE }),
	}),
	fc.record({
		kind: fc.constant("hold" as const),
		job: id,
		amount: fc.constant(PRICE),
	}),
	fc.record({
		kind: fc.constant("close" as const),
		job: id,
		price: fc.integer({ min: 0, max: PRICE }),
	}),
);
const events = fc.array(event, { maxLength: 40 });

const run = (list: LedgerEvent[]): Ledger[] => {
	const states = [empty];
	for (const [now, each] of list.entries())
		states.push(advance(states.at(-1) as Ledger, each, now));
	return states;
};
const sum = (amounts: Iterable<number>) =>
	[...amounts].reduce((a, b) => a + b, 0);

describe("the ledger", () => {
	it("keeps the sum of its books at 0, and no book of the account below it", () => {
		fc.assert(
			fc.property(events, (list) => {
				for (const { balances } of run(list)) {
					expect(sum(BOOKS.map((book) => balances[book]))).toBe(0);
					expect(balances.available).toBeGreaterThanOrEqual(0);
					expect(balances.held).toBeGreaterThanOrEqual(0);
					expect(balances.revenue).toBeGreaterThanOrEqual(0);
				}
			}),
		);
	});

	it("holds what open jobs hold, and earns what closed ones cost", () => {
		fc.assert(
			fc.property(events, (list) => {
				const { balances, holds, credits } = run(list).at(-1) as Ledger;
				const all = [...holds.values()];
				expect(balances.funding).toBe(0 - sum(credits.values()));
				expect(balances.held).toBe(
					sum(all.filter((h) => !h.closed).map((h) => h.amount)),
				);
				expect(balances.revenue).toBe(
					sum(all.map((h) => h.closed?.price ?? 0)),
				);
			}),
		);
	});

	it("answers a repeat like the first time and moves nothing", () => {
		fc.assert(
			fc.property(events, event, (list, repeated) => {
				const before = run(list).at(-1) as Ledger;
				const first = decide(before, repeated, 100);
				const then = advance(before, repeated, 100);
				const second = decide(then, repeated, 200);
				if (first.ok && second.ok) {
					expect(second.entries).toEqual([]);
					expect(second.closing).toEqual(first.closing);
				} else expect(second).toEqual(first);
				expect(advance(then, repeated, 200)).toEqual(then);
			}),
		);
	});

	it("closes a job once: settle after release and release after settle change nothing", () => {
		for (const [first, second] of [
			[0, PRICE],
			[PRICE, 0],
		] as const) {
			const [, , , closed, again] = run([
				{ kind: "credit", id: "a", amount: 5 * PRICE },
				{ kind: "hold", job: "j", amount: PRICE },
				{ kind: "close", job: "j", price: first },
				{ kind: "close", job: "j", price: second },
			]);
			expect(closed?.holds.get("j")?.closed?.price).toBe(first);
			expect(again).toEqual(closed);
		}
	});

	it("refuses a hold that the available balance does not cover", () => {
		const [, , held] = run([
			{ kind: "credit", id: "a", amount: PRICE },
			{ kind: "hold", job: "one", amount: PRICE },
		]);
		expect(
			decide(held as Ledger, { kind: "hold", job: "two", amount: 1 }, 0),
		).toEqual({
			ok: false,
			failure: {
				code: "insufficient_credit",
				available: 0,
				price: 1,
				missing: 1,
			},
		});
	});

	it("refuses another amount under a known credit id", () => {
		const [, known] = run([{ kind: "credit", id: "a", amount: 5 }]);
		expect(
			decide(known as Ledger, { kind: "credit", id: "a", amount: 6 }, 0),
		).toEqual({ ok: false, failure: { code: "credit_conflict" } });
	});

	it("takes no fraction of a micro-USD, no negative amount, no price above the hold", () => {
		const [, , held] = run([
			{ kind: "credit", id: "a", amount: PRICE },
			{ kind: "hold", job: "j", amount: PRICE },
		]) as [Ledger, Ledger, Ledger];
		for (const amount of [0.5, -1, Number.NaN, 2 ** 53])
			expect(() =>
				decide(empty, { kind: "credit", id: "b", amount }, 0),
			).toThrow(RangeError);
		for (const price of [PRICE + 1, -1])
			expect(() => decide(held, { kind: "close", job: "j", price }, 0)).toThrow(
				RangeError,
			);
	});
});
