// @ts-check
import { describe, expect, it } from "vitest";
import { columns, compared, comparison, medianOf, shares } from "./figures.mjs";
import { sideFigures, table } from "./gateway-table.mjs";
import { percentile } from "./load.mjs";

describe("figures of a bench", () => {
	it("takes the nearest rank, and none of nothing", () => {
		expect(percentile([3, 1, 2], 0.5)).toBe(2);
		expect(percentile([1, 2, 3, 4], 0.95)).toBe(4);
		expect(percentile([5], 0)).toBe(5);
		expect(percentile([], 0.5)).toBeNaN();
	});

	it("has the median of each number of several rounds", () => {
		const round = (/** @type {number} */ ms) => ({
			ms,
			of: "edge",
			list: [{ ms: ms * 2 }],
		});
		expect(medianOf([3, 1, 2].map(round))).toEqual(round(2));
		expect(medianOf([round(7)])).toEqual(round(7));
	});

	it("compares the numbers that both editions have", () => {
		const here = { admit: { ms: 50, rows: 20 }, name: "x", fresh: 1 };
		const there = { admit: { ms: 100, rows: 40 }, name: "y" };
		expect(compared(here, there)).toEqual([
			{ name: "admit ms", values: [50, 100], ratio: 0.5 },
			{ name: "admit rows", values: [20, 40], ratio: 0.5 },
		]);
		const [, line] = comparison(
			"this tree",
			"abc1234",
			compared(here, there),
		).split("\n");
		expect(line?.trim().split(/ {2,}/)).toEqual([
			"admit ms",
			"50",
			"100",
			"0.50",
		]);
	});

	it("aligns columns", () => {
		expect(
			columns([
				["a", "1"],
				["bcd", "100"],
			]),
		).toBe("  a      1\n  bcd  100");
	});
});

describe("the gateway bench", () => {
	const burst = (/** @type {number[]} */ ttft, seconds = 2, cpu = 0) => ({
		ttft,
		seconds,
		cpu,
		tokens: 200,
		MiB: 100 + cpu,
	});
	const straight = [burst([20, 22]), burst([20, 24])];

	it("says what a side adds to the straight way, over all bursts", () => {
		const side = [burst([50, 90], 4, 0.1), burst([30, 70], 4, 0.3)];
		expect(sideFigures(side, straight)).toEqual({
			ttftMs: { p50: 50, p95: 90 },
			addedMs: { p50: 30, p95: 66 },
			tokensPerSecond: 50,
			ofStraight: 0.5,
			cpuSecondsPer1000Tokens: 1,
			MiB: 100.3,
		});
	});

	it("sets the edge beside each other side, and not beside the straight way", () => {
		const of = (/** @type {number} */ ms, /** @type {number} */ cpu) =>
			sideFigures([burst([20 + ms], 2, cpu)], straight);
		const sides = {
			straight: sideFigures(straight, straight),
			LiteLLM: of(30, 0.4),
			edge: of(10, 0.1),
			"edge abc1234": of(20, 0.2),
		};
		const lines = table([{ streams: 16, sides }]).split("\n");
		const cells = lines.map((line) => line.trim().split(/ {2,}/));
		expect(cells.map(([name]) => name)).toEqual([
			"streams",
			"straight",
			"LiteLLM",
			"edge",
			"edge abc1234",
			"edge ÷ LiteLLM",
			"edge ÷ edge abc1234",
		]);
		expect(cells[5]).toEqual([
			"edge ÷ LiteLLM",
			"16",
			"0.33",
			"0.23",
			"1.00",
			"0.25",
			"1.00",
		]);
	});
});

it("a profile's shares leave idle time out, and count a function that calls itself once", () => {
	/** @param {number} id @param {string} functionName @param {number[]} [children] */
	const frame = (id, functionName, children = []) => ({
		id,
		children,
		callFrame: { functionName },
	});
	const profile = {
		nodes: [
			frame(1, "(root)", [2, 3]),
			frame(2, "(idle)"),
			frame(3, "post", [4, 5]),
			frame(4, "post", [6]),
			frame(5, "", [7]),
			frame(6, "write"),
			frame(7, "write"),
		],
		samples: [2, 3, 4, 6, 7],
		timeDeltas: [1000, 10, 20, 30, 40],
	};
	const { self, withCallees } = shares(profile, 5);
	expect(self).toEqual({ write: 0.7, post: 0.3 });
	expect(withCallees).toEqual({ post: 1, write: 0.7 });
});
