import { expect, it } from "vitest";
import { eventTypes } from "../../src/command/event-types.ts";
import { UsageError } from "../../src/command/exit.ts";
import { nearest, number, read } from "../../src/command/options.ts";

it("words and options may come in any order", () => {
	const expected = {
		words: ["ask", "a.jpg", "What?"],
		values: { seed: "1", stop: ["a", "b"] },
	};
	for (const args of [
		["ask", "a.jpg", "What?", "--seed", "1", "--stop", "a", "--stop=b"],
		["--seed=1", "ask", "--stop", "a", "a.jpg", "--stop", "b", "What?"],
	])
		expect(read(args)).toMatchObject(expected);
	expect(read(["ask", "a.jpg", "--", "--what?"]).words.at(-1)).toBe("--what?");
	expect(read(["describe", "-"]).words).toEqual(["describe", "-"]);
});

it.each([
	[["--sed", "1"], "Is it --seed?"],
	[["--nonsense"], "There is no option --nonsense."],
	[["--seed"], "--seed needs a value."],
	[["--json=1"], "--json takes no value."],
])("%j is refused in words that help", (args, says) => {
	expect(() => read(args)).toThrow(UsageError);
	expect(() => read(args)).toThrow(says);
});

it("numbers are numbers", () => {
	expect(number("seed", "0")).toBe(0);
	expect(number("temperature", "1.5")).toBe(1.5);
	expect(number("seed", undefined)).toBeUndefined();
	for (const wrong of ["", " ", "x", "1x", "Infinity"])
		expect(() => number("seed", wrong)).toThrow("--seed needs a number");
});

it("a slip of the finger is understood, a guess is not made", () => {
	expect(nearest("descirbe", ["describe", "ask"])).toBe("describe");
	expect(nearest("jbos", ["jobs", "keys"])).toBe("jobs");
	expect(nearest("zzz", ["ask", "jobs"])).toBeNull();
});

it("events are named as the feed names them", () => {
	expect(eventTypes("job.failed, job.created")).toEqual([
		"job.failed",
		"job.created",
	]);
	expect(() => eventTypes("job.succeded")).toThrow("Is it job.succeeded?");
	expect(() => eventTypes("")).toThrow("There is: job.created,");
});
