// @ts-check
/** `npm run bench -- throughput`: sets up what is missing, for gpu-worker/bench/throughput.py. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { parseArgs } from "node:util";
import * as paths from "../../scripts/paths.mjs";
import { setUp } from "../../scripts/setup.mjs";
import { Board } from "../../scripts/terminal.mjs";

/** @param {string[]} args its options, see `--help` @returns {Promise<number>} its exit code */
export async function throughput(args) {
	const { values } = parseArgs({
		args,
		options: { model: { type: "string" }, checkpoint: { type: "string" } },
		strict: false,
	});
	const ours = values.model === "mini" && values.checkpoint === undefined;
	const model = ours ? "mini" : "nano";
	await setUp({ board: new Board(process.stderr), model }).all;
	const child = spawn(
		join(paths.venv, "bin", "python"),
		[join(paths.gpuWorker, "bench", "throughput.py"), ...args],
		{ stdio: "inherit" },
	);
	// Ctrl-C reaches it by itself; it ends its worker first, and then we end.
	for (const name of /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"]))
		process.on(name, () => name === "SIGINT" || child.kill(name));
	const [code] = await once(child, "exit");
	return code ?? 1;
}
