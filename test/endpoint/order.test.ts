import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
	firstInLine,
	nextDue,
	type QueuedDelivery,
	readyToSend,
} from "../../src/endpoint/order.ts";

const waiting: fc.Arbitrary<QueuedDelivery[]> = fc
	.array(
		fc.record({
			line: fc.constantFrom("a", "b", "c", null),
			nextAt: fc.integer({ min: 0, max: 20 }),
		}),
		{ maxLength: 20 },
	)
	.chain((all) =>
		fc.shuffledSubarray(
			all.map((each, id) => ({ id, ...each })),
			{ minLength: all.length },
		),
	);
const now = fc.integer({ min: 0, max: 20 });
const most = fc.integer({ min: 1, max: 6 });
const none = new Set<number>();

describe("what may go now", () => {
	it("is first in its line, is due, is not under way, and leaves no room that it could have", () =>
		fc.assert(
			fc.property(
				waiting,
				fc.array(fc.nat(19)),
				most,
				now,
				(all, under, most, now) => {
					const busy = new Set(
						firstInLine(all)
							.map(({ id }) => id)
							.filter((id) => under.includes(id))
							.slice(0, most),
					);
					const sent = readyToSend(all, busy, most, now);
					for (const each of sent) {
						expect(each.nextAt).toBeLessThanOrEqual(now);
						expect(busy.has(each.id)).toBe(false);
						const before = all.filter(
							({ id, line }) => line === each.line && id < each.id,
						);
						if (each.line !== null) expect(before).toEqual([]);
					}
					const lines = sent.map(({ line }) => line).filter(Boolean);
					expect(new Set(lines).size).toBe(lines.length);
					const could = firstInLine(all).filter(
						({ id, nextAt }) => nextAt <= now && !busy.has(id),
					);
					expect(sent).toHaveLength(Math.min(could.length, most - busy.size));
				},
			),
		));

	it("does not depend on a line that fails: another job's events go", () =>
		fc.assert(
			fc.property(waiting, now, (all, now) => {
				const stuck = all.map((each) =>
					each.line === "a" ? { ...each, nextAt: 1_000 } : each,
				);
				const others = stuck.filter(({ line }) => line !== "a");
				expect(readyToSend(stuck, none, 99, now)).toEqual(
					readyToSend(others, none, 99, now),
				);
			}),
		));

	it("comes to all of them, each line in order, whatever fails how often", () =>
		fc.assert(
			fc.property(
				waiting,
				fc.array(fc.boolean(), { maxLength: 60 }),
				most,
				(all, fails, most) => {
					let left = [...all];
					let time = 0;
					const through: QueuedDelivery[] = [];
					for (let n = 0; left.length > 0; n++) {
						time = Math.max(time, nextDue(left, none) as number);
						const [first] = readyToSend(left, none, most, time);
						if (!first) throw new Error("nothing goes though something is due");
						left = left.filter(({ id }) => id !== first.id);
						if (fails[n]) left.push({ ...first, nextAt: time + 5 });
						else through.push(first);
					}
					for (const line of ["a", "b", "c"]) {
						const ids = through
							.filter((each) => each.line === line)
							.map(({ id }) => id);
						expect(ids).toEqual([...ids].sort((a, b) => a - b));
					}
					expect(through).toHaveLength(all.length);
				},
			),
		));
});

it("the next time is that of the first in some line that is not under way", () =>
	fc.assert(
		fc.property(waiting, (all) => {
			const first = firstInLine(all);
			const [one] = first;
			expect(nextDue(all, none)).toBe(
				first.length > 0
					? Math.min(...first.map(({ nextAt }) => nextAt))
					: null,
			);
			if (one) expect(nextDue([one], new Set([one.id]))).toBe(null);
		}),
	));
