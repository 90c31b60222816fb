import { defineConfig } from "vitest/config";
import unit from "../vitest.config.ts";

/** As the unit tests, but for the long days of `npm run simulate`. */
export default defineConfig({
	...unit,
	test: {
		...unit.test,
		include: ["test/simulation/days.sim.ts"],
		testTimeout: 600_000,
		silent: true,
	},
});
