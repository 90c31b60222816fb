import { describe, expect, it } from "vitest";
import { PendingBatch } from "../../src/job/batch.ts";

const tokens = (ids: number[], text: string) => ({
	ids,
	tokens: ids.length,
	text,
});

describe("pending tokens", () => {
	it("are taken once, with all their ids", () => {
		const pending = new PendingBatch([], "");
		pending.add(tokens([1], "a"));
		pending.add(tokens([2, 3], "b"));
		expect(pending.take()).toEqual({
			text: "ab",
			ids: [1, 2, 3],
			tokens: 3,
			withheld: "",
		});
		expect(pending.take()).toBe(null);
		expect(pending.rest()).toBe(null);
	});

	it("stay pending while none of their text can be shown", () => {
		const pending = new PendingBatch(["END"], "");
		pending.add(tokens([1], "")); // half a character
		expect(pending.take()).toBe(null);
		pending.add(tokens([2], "é"));
		pending.add(tokens([3], "EN"));
		expect(pending.take()).toEqual({
			text: "é",
			ids: [1, 2, 3],
			tokens: 3,
			withheld: "EN",
		});
		pending.add(tokens([4], ""));
		expect(pending.take()).toBe(null);
		expect(pending.rest()).toEqual({
			text: "EN",
			ids: [4],
			tokens: 1,
			withheld: "",
		});
	});

	it("leave text without a token for the end, because another attempt would emit it again", () => {
		const pending = new PendingBatch([], "");
		pending.add(tokens([], "\ufffd"));
		expect(pending.take()).toBe(null);
		expect(pending.rest()).toEqual({
			text: "\ufffd",
			ids: [],
			tokens: 0,
			withheld: "",
		});
	});

	it("without ids are counted too", () => {
		const pending = new PendingBatch([], "");
		pending.add({ ids: [], tokens: 2, text: "a b" });
		expect(pending.take()).toEqual({
			text: "a b",
			ids: [],
			tokens: 2,
			withheld: "",
		});
	});

	it("that complete a stop string count, and their text after it is dropped", () => {
		const pending = new PendingBatch(["END"], "");
		expect(pending.add(tokens([1], "a EN"))).toBe(false);
		expect(pending.add(tokens([2], "D b"))).toBe(true);
		expect(pending.rest()).toEqual({
			text: "a ",
			ids: [1, 2],
			tokens: 2,
			withheld: "",
		});
	});
});
