import { defineConfig } from "vitest/config";

/** The whole stack: the bucket, the edge and the real nano worker. One file at a time: they share two cores. */
export default defineConfig({
	test: {
		include: ["test/e2e/**/*.test.ts"],
		environment: "node",
		fileParallelism: false,
		testTimeout: 240_000,
		// Without an end of its own, a poll gives up after less than a busy machine may pause.
		expect: { poll: { timeout: 20_000 } },
		hookTimeout: 600_000,
	},
});
