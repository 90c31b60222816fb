// @ts-check
/** uv, at one version, in a folder of its own. Its path comes from `uv()` once the step is done. */
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { state } from "../paths.mjs";
import { run } from "../process.mjs";

const VERSION = "0.13.9";
const home = join(state, "uv");
export const uv = join(home, "bin", "uv");

/** @type {import("./step.mjs").Step} */
export const uvItself = {
	name: "uv",
	inputs: () => [VERSION],
	outputs: [uv],
	async run(context) {
		context.onLine(`pip install uv==${VERSION}`);
		rmSync(home, { recursive: true, force: true });
		const pip = [
			"-m",
			"pip",
			"install",
			"--disable-pip-version-check",
			"--quiet",
		];
		try {
			await run("python3", ["-m", "venv", home], {
				...context,
				what: "python3 -m venv",
			});
			await run(join(home, "bin", "python3"), [...pip, `uv==${VERSION}`], {
				...context,
				what: "pip install uv",
			});
		} catch {
			// Debian splits ensurepip off; a pip of the system can still install into a folder.
			context.signal.throwIfAborted();
			rmSync(home, { recursive: true, force: true });
			await run("python3", [...pip, "--target", home, `uv==${VERSION}`], {
				...context,
				what: "pip install uv",
			}).catch((second) => {
				second.message +=
					"\nPython needs venv or pip here: apt-get install python3-venv";
				throw second;
			});
		}
		if (!existsSync(uv)) throw new Error(`pip put no uv at ${uv}`);
	},
};
