import { expect, test } from "vitest";
import { runEngine } from "./engine.ts";
import { KILL_POINTS } from "./plan.ts";
import { run } from "./run.ts";

const seed = Number(process.env.CHAOS_SEED ?? 1);
/** Sixty jobs are to take no more than six minutes. */
const limitMs = 340_000;
const again = (jobs: number) =>
	`again: npm run chaos -- --jobs ${jobs} --seed ${seed}`;

test("60 jobs through kills, cut connections and lost storage: every invariant holds", async () => {
	const result = await run({ seed, jobs: 60, limitMs });
	expect(result.wrong, again(60)).toEqual([]);
	for (const point of KILL_POINTS)
		expect(result.kills[point] ?? 0, point).toBeGreaterThanOrEqual(3);
	expect(result.blows["kill edge"]).toBeGreaterThanOrEqual(20);
	expect(result.blows["kill worker"]).toBeGreaterThanOrEqual(3);
	expect(result.interrupted).toBeGreaterThan(20);
});

test("on the real engine, greedy, each answer equals the uninterrupted one", async () => {
	const result = await runEngine({ seed, limitMs });
	expect(result.wrong, again(60)).toEqual([]);
	expect(result.kills.token).toBeGreaterThanOrEqual(2);
	expect(result.interrupted).toBeGreaterThanOrEqual(3);
});
