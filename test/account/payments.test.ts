import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
	learned,
	type Payment,
	step,
	UNPAID,
	worthOf,
} from "../../src/account/payments.ts";
import type { PaymentEvent } from "../../src/contract/payment.ts";

const paid = (amount: number): PaymentEvent => ({ type: "paid", amount });
const all = (...events: PaymentEvent[]): Payment =>
	events.reduce(learned, UNPAID);

/** What really happens to a payment, in its order. */
const history: fc.Arbitrary<PaymentEvent[]> = fc
	.record({
		amount: fc.integer({ min: 1, max: 1_000 }),
		refunds: fc.array(fc.integer({ min: 1, max: 400 }), { maxLength: 3 }),
		disputes: fc.array(
			fc.record({
				amount: fc.integer({ min: 1, max: 400 }),
				won: fc.option(fc.boolean()),
			}),
			{ maxLength: 2 },
		),
	})
	.map(({ amount, refunds, disputes }) => {
		let total = 0;
		return [
			paid(amount),
			...refunds.map((refund): PaymentEvent => {
				total = Math.min(amount, total + refund);
				return { type: "refunded", total };
			}),
			...disputes.flatMap(({ amount, won }, n): PaymentEvent[] => [
				{ type: "disputed", dispute: `dp_${n}`, amount },
				...(won === null
					? []
					: [
							{
								type: "dispute_closed",
								dispute: `dp_${n}`,
								amount,
								won,
							} as const,
						]),
			]),
		];
	});

describe("a payment", () => {
	it("is worth what was paid, less what was given or taken back", () => {
		expect(worthOf(all(paid(100)))).toBe(100);
		expect(worthOf(all(paid(100), { type: "refunded", total: 30 }))).toBe(70);
		const dispute = { dispute: "dp_1", amount: 100 };
		const disputed = all(paid(100), { type: "disputed", ...dispute });
		expect(worthOf(disputed)).toBe(0);
		const closed = (won: boolean) =>
			learned(disputed, { type: "dispute_closed", ...dispute, won });
		expect(worthOf(closed(true))).toBe(100);
		expect(worthOf(closed(false))).toBe(0);
	});

	it("is worth the same however its events come: again, late, in any order", () => {
		fc.assert(
			fc.property(
				history.chain((events) =>
					fc.tuple(
						fc.constant(events),
						fc.shuffledSubarray([...events, ...events], {
							minLength: 2 * events.length,
						}),
					),
				),
				([events, told]) => {
					expect(worthOf(all(...told))).toBe(worthOf(all(...events)));
				},
			),
		);
	});

	it("is credited step by step: never below 0, and what is missing is owed", () => {
		fc.assert(
			fc.property(
				history,
				fc.array(fc.integer({ min: 0, max: 300 })),
				(events, spending) => {
					let payment: Payment = UNPAID;
					let available = 0;
					for (const [n, event] of events.entries()) {
						payment = learned(payment, event);
						const { amount, owed } = step(payment, available);
						available += amount;
						payment = { ...payment, credited: payment.credited + amount };
						expect(available).toBeGreaterThanOrEqual(0);
						expect(owed).toBeGreaterThanOrEqual(0);
						expect(payment.credited - owed).toBe(worthOf(payment));
						// Nothing more to do until something changes.
						expect(step(payment, 0).amount).toBe(0);
						available -= Math.min(available, spending[n] ?? 0);
					}
				},
			),
		);
	});
});
