import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

export default defineConfig({
	test: {
		root: fileURLToPath(new URL(".", import.meta.url)),
		include: ["test/**/*.test.ts"],
		environment: "node",
		testTimeout: 60_000,
		setupFiles: ["../test/support/properties.ts"],
		provide: { propertySeed: Number(process.env.PROPERTY_SEED ?? 1) },
		// The default is shorter than the pauses of a busy machine.
		expect: { poll: { timeout: 15_000 } },
	},
});
