/** What lies in packages/: pinned there, so that the client itself depends on nothing. */
import { createRequire } from "node:module";
import { join } from "node:path";

export const packages = join(import.meta.dirname, "packages");
export const requirePackage = createRequire(join(packages, "package.json"));
/** A package's program. */
export const program = (path: string): string =>
	join(packages, "node_modules", path);
