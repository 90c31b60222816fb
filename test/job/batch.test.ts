import { describe, expect, it } from "vitest";
import { Pending } from "../../src/job/batch.ts";

describe("tokens on their way into the log", () => {
	it("come with all their ids, once", () => {
		const pending = new Pending([], "");
		pending.add([1], "a");
		pending.add([2, 3], "b");
		expect(pending.take()).toEqual({ text: "ab", ids: [1, 2, 3], held: "" });
		expect(pending.take()).toBe(null);
		expect(pending.rest()).toBe(null);
	});

	it("wait while nothing of them can be shown", () => {
		const pending = new Pending(["END"], "");
		pending.add([1], ""); // half a character
		expect(pending.take()).toBe(null);
		pending.add([2], "é");
		pending.add([3], "EN");
		expect(pending.take()).toEqual({ text: "é", ids: [1, 2, 3], held: "EN" });
		pending.add([4], "");
		expect(pending.take()).toBe(null);
		expect(pending.rest()).toEqual({ text: "EN", ids: [4], held: "" });
	});

	it("without ids come only at the end: another attempt would release them again", () => {
		const pending = new Pending([], "");
		pending.add([], "\ufffd");
		expect(pending.take()).toBe(null);
		expect(pending.rest()).toEqual({ text: "\ufffd", ids: [], held: "" });
	});

	it("that complete a stop string count, and what they say after it does not", () => {
		const pending = new Pending(["END"], "");
		expect(pending.add([1], "a EN")).toBe(false);
		expect(pending.add([2], "D b")).toBe(true);
		expect(pending.rest()).toEqual({ text: "a ", ids: [1, 2], held: "" });
	});
});
