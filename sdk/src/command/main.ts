#!/usr/bin/env node
/** The `minigpt4` command: connects this process to `run`. */
import { fstatSync, readFileSync } from "node:fs";
import { EXIT } from "./exit.ts";
import { run } from "./run.ts";

const { version } = JSON.parse(
	readFileSync(new URL("../../package.json", import.meta.url), "utf8"),
) as { version: string };

/** Whether standard input is a pipe, a file or a socket; not a terminal or /dev/null. */
function isPiped(): boolean {
	try {
		const stdin = fstatSync(0);
		return stdin.isFIFO() || stdin.isFile() || stdin.isSocket();
	} catch {
		return false;
	}
}

const interrupt = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const)
	process.on(signal, () => {
		// A second Ctrl-C ends the process at once.
		if (interrupt.signal.aborted) process.exit(EXIT.interrupted);
		interrupt.abort(new Error("interrupted"));
	});

// A reader of the output may close it early, as `head` does.
for (const stream of [process.stdout, process.stderr])
	stream.on("error", (error: NodeJS.ErrnoException) =>
		process.exit(error.code === "EPIPE" ? EXIT.ok : EXIT.failed),
	);

process.exitCode = await run(
	process.argv.slice(2),
	{
		env: process.env,
		out: process.stdout,
		err: process.stderr,
		input: isPiped() ? process.stdin : null,
		interrupt: interrupt.signal,
		now: Date.now,
	},
	version,
);
// An open pipe would keep the process alive.
process.stdin.destroy();
