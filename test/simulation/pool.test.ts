import { beforeAll, describe, expect, it } from "vitest";
import { day } from "./day.ts";
import { type Report, reportOf } from "./report.ts";

/**
 * Four thousand jobs of nine accounts on up to four workers. `npm run simulate` draws longer days.
 */
describe("a pool through a day of bursts", () => {
	let report: Report;
	beforeAll(async () => {
		report = reportOf(await day({ seed: 1 }));
	}, 120_000);

	it("gives every job a slot, no worker more than it has slots, no epoch twice", () => {
		expect(report.wrongs).toEqual([]);
		expect(report.jobs).toBe(4_000);
	});

	it("quotes starts and ends that nine in ten jobs keep, and half of them by the p50", () => {
		for (const { jobs, underP50, underP90 } of [report.start, report.finish]) {
			expect(jobs).toBeGreaterThan(3_000);
			expect(underP90).toBeGreaterThan(0.85);
			expect(underP90).toBeLessThan(0.95);
			expect(underP50).toBeGreaterThan(0.35);
			expect(underP50).toBeLessThan(0.7);
		}
	});

	it("quotes as well for the heavy account as for the light ones", () => {
		for (const { underP90 } of [report.heavy, report.light]) {
			expect(underP90).toBeGreaterThan(0.82);
			expect(underP90).toBeLessThan(0.97);
		}
	});

	it("gives nobody more than one slot before any account's first job", () => {
		expect(report.first.jobs).toBeGreaterThan(100);
		expect(report.first.byOne).toBe(1);
	});

	it("has a load figure by which all workers come for the bursts and go in the calm", () => {
		expect(report.signal.burst).toBeGreaterThan(2 * report.signal.calm);
		expect(report.coldStarts).toBeGreaterThan(3);
		expect(report.signal.none).toBeGreaterThan(0);
		expect(report.signal.most).toBeLessThan(Number.POSITIVE_INFINITY);
	});
});
