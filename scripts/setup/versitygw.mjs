// @ts-check
/**
 * A second S3 server for the tests, built from source: it checks signatures, checksums and CORS as
 * S3 does.
 */
import { dirname } from "node:path";
import { versitygw as binary } from "../paths.mjs";
import { run } from "../process.mjs";

const MODULE = "github.com/versity/versitygw/cmd/versitygw@v1.8.0";

/** @type {import("./step.mjs").Step} */
export const versitygw = {
	name: "versitygw",
	inputs: () => [MODULE],
	outputs: [binary],
	async run({ log, signal, onLine }) {
		let compiled = 0;
		onLine("go install, from source");
		await run("go", ["install", "-v", "-ldflags=-s -w", MODULE], {
			what: `go install ${MODULE}`,
			log,
			signal,
			env: { GOBIN: dirname(binary) },
			onLine: (line) =>
				onLine(
					line.startsWith("go: ")
						? line.slice(4)
						: `compiling, ${++compiled} packages done`,
				),
		});
	},
};
