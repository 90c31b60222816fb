import { expect, test } from "vitest";
import { KILL_POINTS, planOf } from "./plan.ts";

test("a seed always makes the same plan, another seed another one", () => {
	expect(planOf(7, 60)).toEqual(planOf(7, 60));
	expect(planOf(8, 60)).not.toEqual(planOf(7, 60));
});

test("every plan kills the edge three times at each point, and strikes where a job is", () => {
	for (let seed = 0; seed < 300; seed++) {
		const { jobs } = planOf(seed, 60);
		const strikes = jobs.flatMap((job) => job.strikes);
		for (const point of KILL_POINTS)
			expect(
				strikes.filter(
					(strike) => strike.blow === "kill edge" && strike.point === point,
				).length,
			).toBeGreaterThanOrEqual(3);
		for (const job of jobs)
			for (const { tokens } of job.strikes) {
				expect(tokens).toBeLessThanOrEqual(
					Math.min(job.tokens.length, job.maxTokens) - job.group,
				);
				expect(["none", "delete", "abandon"]).toContain(job.end);
			}
		expect(new Set(jobs.map(({ name }) => name)).size).toBe(60);
		for (const { name } of jobs) expect(name).toMatch(/^[0-7][0-9A-Z]{25}$/);
	}
});
