import { describe, expect, it } from "vitest";
import { PendingBatch } from "../../src/job/batch.ts";

const tokens = (ids: number[], text: string) => ({
	ids,
	tokens: ids.length,
	text,
});

describe("tokens on their way into the log", () => {
	it("come with all their ids, once", () => {
		const pending = new PendingBatch([], "");
		pending.add(tokens([1], "a"));
		pending.add(tokens([2, 3], "b"));
		expect(pending.take()).toEqual({
			text: "ab",
			ids: [1, 2, 3],
			tokens: 3,
			held: "",
		});
		expect(pending.take()).toBe(null);
		expect(pending.rest()).toBe(null);
	});

	it("wait while nothing of them can be shown", () => {
		const pending = new PendingBatch(["END"], "");
		pending.add(tokens([1], "")); // half a character
		expect(pending.take()).toBe(null);
		pending.add(tokens([2], "é"));
		pending.add(tokens([3], "EN"));
		expect(pending.take()).toEqual({
			text: "é",
			ids: [1, 2, 3],
			tokens: 3,
			held: "EN",
		});
		pending.add(tokens([4], ""));
		expect(pending.take()).toBe(null);
		expect(pending.rest()).toEqual({
			text: "EN",
			ids: [4],
			tokens: 1,
			held: "",
		});
	});

	it("leave text without a token for the end: another attempt would release it again", () => {
		const pending = new PendingBatch([], "");
		pending.add(tokens([], "\ufffd"));
		expect(pending.take()).toBe(null);
		expect(pending.rest()).toEqual({
			text: "\ufffd",
			ids: [],
			tokens: 0,
			held: "",
		});
	});

	it("without ids are counted all the same", () => {
		const pending = new PendingBatch([], "");
		pending.add({ ids: [], tokens: 2, text: "a b" });
		expect(pending.take()).toEqual({
			text: "a b",
			ids: [],
			tokens: 2,
			held: "",
		});
	});

	it("that complete a stop string count, and what they say after it does not", () => {
		const pending = new PendingBatch(["END"], "");
		expect(pending.add(tokens([1], "a EN"))).toBe(false);
		expect(pending.add(tokens([2], "D b"))).toBe(true);
		expect(pending.rest()).toEqual({
			text: "a ",
			ids: [1, 2],
			tokens: 2,
			held: "",
		});
	});
});
