// @ts-check
/** Servers that the tests run against, built from source. */
import { dirname } from "node:path";
import * as paths from "../paths.mjs";
import { run } from "../process.mjs";

/**
 * @param {string} name @param {string} module with its version @param {string} binary
 * @returns {import("./step.mjs").Step}
 */
const goTool = (name, module, binary) => ({
	name,
	inputs: () => [module],
	outputs: [binary],
	async run({ log, signal, onLine }) {
		let compiled = 0;
		onLine("go install, from source");
		await run("go", ["install", "-v", "-ldflags=-s -w", module], {
			what: `go install ${module}`,
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
});

/** A second S3 server: it checks signatures, checksums and CORS as S3 does. */
export const versitygw = goTool(
	"versitygw",
	"github.com/versity/versitygw/cmd/versitygw@v1.8.0",
	paths.versitygw,
);

/** Stripe's API without Stripe: it checks requests as Stripe does, and keeps nothing. */
export const stripeMock = goTool(
	"stripe-mock",
	"github.com/stripe/stripe-mock@v0.203.0",
	paths.stripeMock,
);
