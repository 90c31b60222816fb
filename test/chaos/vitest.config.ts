import { defineConfig } from "vitest/config";

/** Everything real but the fake workers; what dies is told by a plan. */
export default defineConfig({
	test: {
		include: ["test/chaos/**/*.test.ts"],
		environment: "node",
		fileParallelism: false,
		testTimeout: 600_000,
	},
});
