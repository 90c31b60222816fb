/** Packages for tests, pinned in packages/, so that the client itself has no dependencies. */
import { createRequire } from "node:module";
import { join } from "node:path";

export const packages = join(import.meta.dirname, "packages");
export const requirePackage = createRequire(join(packages, "package.json"));
/** Returns the path of a package's program. */
export const program = (path: string): string =>
	join(packages, "node_modules", path);
