import { configDefaults, defineConfig } from "vitest/config";

/**
 * Files that mostly wait, for a minute to pass or a caller to be found gone, and leave the engine
 * nearly alone.
 */
const WAITING = ["hang-up", "crash", "uploads", "stores", "wrangler"].map(
	(name) => `test/e2e/${name}.test.ts`,
);

/**
 * The whole stack: the bucket, the edge and the real nano worker. All share two cores: two files
 * that wait run at a time, or one that works.
 */
export default defineConfig({
	test: {
		environment: "node",
		testTimeout: 240_000,
		// Without an end of its own, a poll gives up after less than a busy machine may pause.
		expect: { poll: { timeout: 20_000 } },
		hookTimeout: 600_000,
		projects: [
			{
				extends: true,
				test: {
					name: "waiting",
					include: WAITING,
					maxWorkers: 2,
					sequence: { groupOrder: 0 },
				},
			},
			{
				extends: true,
				test: {
					name: "working",
					include: ["test/e2e/**/*.test.ts"],
					exclude: [...configDefaults.exclude, ...WAITING],
					maxWorkers: 1,
					sequence: { groupOrder: 1 },
				},
			},
		],
	},
});
