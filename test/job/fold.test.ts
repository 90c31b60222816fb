import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
	fold,
	type StoredEvent,
	tokenData,
	unfold,
} from "../../src/job/fold.ts";

const data = fc.oneof(
	{ weight: 4, arbitrary: fc.string({ unit: "binary" }).map(tokenData) },
	// Data that no token event has, which must come back unchanged too.
	fc.json(),
	fc.string(),
	fc.constantFrom('{"text": "x"}', '{"text":"x","more":1}', '{"text":1}'),
);
const log: fc.Arbitrary<StoredEvent[]> = fc
	.tuple(
		fc.nat(1_000_000),
		fc.boolean(),
		fc.array(
			fc.record({
				type: fc.constantFrom("token", "token", "job.running", "done"),
				data,
				tokens: fc.nat(5),
			}),
			{ maxLength: 60 },
		),
	)
	.map(([before, hasIds, events]) =>
		events.map((event, n) => ({
			...event,
			seq: before + n + 1,
			ids: hasIds ? Array.from({ length: event.tokens }, (_, id) => id) : [],
		})),
	);
const longest = fc.integer({ min: 1, max: 500 });

describe("a folded log", () => {
	it("unfolds to the same events, to the byte, however long its rows are", () => {
		fc.assert(
			fc.property(log, longest, (events, longest) => {
				const bare = events.map(({ seq, type, data }) => ({ seq, type, data }));
				expect(fold(events, longest).flatMap(unfold)).toEqual(bare);
			}),
		);
	});

	it("keeps every token and its id", () => {
		fc.assert(
			fc.property(log, longest, (events, longest) => {
				const rows = fold(events, longest);
				expect(rows.flatMap(({ ids }) => ids)).toEqual(
					events.flatMap(({ ids }) => ids),
				);
				expect(rows.reduce((sum, { tokens }) => sum + tokens, 0)).toBe(
					events.reduce((sum, { tokens }) => sum + tokens, 0),
				);
			}),
		);
	});

	it("has few rows, none longer than the limit unless one event alone is", () => {
		const events = Array.from({ length: 2_000 }, (_, n) => ({
			seq: n + 1,
			type: "token",
			data: tokenData(` word${n}`),
			ids: [n],
			tokens: 1,
		}));
		expect(fold(events)).toHaveLength(1);
		const rows = fold(events, 1_000);
		for (const { data } of rows) expect(data.length).toBeLessThanOrEqual(1_000);
		expect(rows.length).toBeLessThan(30);
	});
});
