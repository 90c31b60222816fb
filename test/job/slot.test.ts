import { expect, it } from "vitest";
import { attemptSeed } from "../../src/job/attempt.ts";
import { pace } from "../../src/job/slot.ts";

it("batches become slower with more readers, and with many running jobs", () => {
	expect(pace(1, 1)).toBe(30);
	expect(pace(2000, 1)).toBe(200);
	expect(pace(100_000, 1)).toBe(500);
	expect(pace(1, 200)).toBe(100);
	expect(pace(2000, 200)).toBe(200);
});

it("later attempts use a seed per number of committed tokens", () => {
	expect(attemptSeed(42, 0)).toBe(42);
	const seeds = Array.from({ length: 2000 }, (_, n) => attemptSeed(42, n));
	expect(new Set(seeds).size).toBe(2000);
	expect(attemptSeed(42, 17)).toBe(attemptSeed(42, 17));
	expect(attemptSeed(43, 17)).not.toBe(attemptSeed(42, 17));
	for (const seed of seeds) expect(seed >>> 0).toBe(seed);
});
