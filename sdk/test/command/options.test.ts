import { expect, it } from "vitest";
import { parseEventTypes } from "../../src/command/event-types.ts";
import { UsageError } from "../../src/command/exit.ts";
import {
	nearest,
	parseCommandLine,
	parseDuration,
	parseNumber,
	parsePast,
	parseSpend,
	parseTime,
} from "../../src/command/options.ts";

it("arguments and options may come in any order", () => {
	const expected = {
		args: ["ask", "a.jpg", "What?"],
		values: { seed: "1", stop: ["a", "b"] },
	};
	for (const args of [
		["ask", "a.jpg", "What?", "--seed", "1", "--stop", "a", "--stop=b"],
		["--seed=1", "ask", "--stop", "a", "a.jpg", "--stop", "b", "What?"],
	])
		expect(parseCommandLine(args)).toMatchObject(expected);
	expect(parseCommandLine(["ask", "a.jpg", "--", "--what?"]).args.at(-1)).toBe(
		"--what?",
	);
	expect(parseCommandLine(["describe", "-"]).args).toEqual(["describe", "-"]);
});

it.each([
	[["--sed", "1"], "Is it --seed?"],
	[["--nonsense"], "There is no option --nonsense."],
	[["--seed"], "--seed needs a value."],
	[["--json=1"], "--json takes no value."],
])("%j is refused with a message that helps", (args, says) => {
	expect(() => parseCommandLine(args)).toThrow(UsageError);
	expect(() => parseCommandLine(args)).toThrow(says);
});

it("numbers are numbers", () => {
	expect(parseNumber("seed", "0")).toBe(0);
	expect(parseNumber("temperature", "1.5")).toBe(1.5);
	expect(parseNumber("seed", undefined)).toBeUndefined();
	for (const wrong of ["", " ", "x", "1x", "Infinity"])
		expect(() => parseNumber("seed", wrong)).toThrow("--seed needs a number");
});

it("times are durations, or dates where they are times to come", () => {
	const seconds = ["0", "90s", "15m", "12h", "7d"].map((text) =>
		parseDuration("grace", text),
	);
	expect(seconds).toEqual([0, 90, 900, 43_200, 604_800]);
	const now = Date.parse("2026-11-30T00:00:00Z");
	const at = (text: string) => parseTime("expires", text, now).toISOString();
	expect(at("30d")).toBe("2026-12-30T00:00:00.000Z");
	expect(at("2027-01-01")).toBe("2027-01-01T00:00:00.000Z");
	for (const wrong of ["", "soon", "-1h", "1.5h", "1w"]) {
		expect(() => parseDuration("grace", wrong)).toThrow("--grace needs a time");
		expect(() => at(wrong)).toThrow("--expires needs a time");
	}
});

it("a typo has a suggestion, an unrelated word has none", () => {
	expect(nearest("descirbe", ["describe", "ask"])).toBe("describe");
	expect(nearest("jbos", ["jobs", "keys"])).toBe("jobs");
	expect(nearest("zzz", ["ask", "jobs"])).toBeNull();
});

it("event types have the feed's names", () => {
	expect(parseEventTypes("job.failed, job.created")).toEqual([
		"job.failed",
		"job.created",
	]);
	expect(() => parseEventTypes("job.succeded")).toThrow(
		"Did you mean job.succeeded?",
	);
	expect(() => parseEventTypes("")).toThrow("The types are: job.created,");
});

it("times that are past are a duration ago, or a date", () => {
	const now = Date.parse("2026-11-30T12:00:00Z");
	expect(parsePast("since", "12h", now).toISOString()).toBe(
		"2026-11-30T00:00:00.000Z",
	);
	expect(parsePast("since", "2026-11-01", now).toISOString()).toBe(
		"2026-11-01T00:00:00.000Z",
	);
	expect(() => parsePast("since", "soon", now)).toThrow(UsageError);
});

it("limits are USD, exact to the micro-USD", () => {
	expect(parseSpend("day=0.000001, month=$12.34,total=5")).toEqual({
		day: 1,
		month: 12_340_000,
		total: 5_000_000,
	});
	expect(parseSpend("none")).toBeNull();
	for (const wrong of ["", "day", "day=x", "week=1", "day=0.0000001", "day=-1"])
		expect(() => parseSpend(wrong)).toThrow(UsageError);
});
