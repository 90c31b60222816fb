import fc from "fast-check";
import { inject } from "vitest";

// A run can be repeated: `PROPERTY_SEED=7 npm test -- unit` tries other examples.
fc.configureGlobal({ seed: inject("propertySeed") });

declare module "vitest" {
	interface ProvidedContext {
		propertySeed: number;
	}
}
