// @ts-check
/** `npm run bench`: what is measured is named by the first word; each has options of its own. */

const HELP = `npm run bench -- [name] [options]

  edge        the edge beside the bare worker: time to first token, tokens per second (the default)
  gateway     the edge beside the LiteLLM proxy, both before one scripted engine
  throughput  the worker under load beside the original demo's way, one request at a time
  readers     two thousand readers of one job: what each got, and how late
  admissions  jobs created per second and core, in a small and in a large account; a job's costs
  ledger      a hold with its settlement, and an audit, by the length of the ledger
  profile     where the edge's processor time of a POST goes
  webhooks    how late events reach receivers that answer, with and without others that do not

  npm run bench -- edge --help (or another): its options; gateway, readers, admissions and webhooks
  measure a commit's edge beside this tree's with --against <commit>
`;

const [what = "edge", ...rest] = process.argv.slice(2);
if (what === "--help") process.stdout.write(HELP);
else if (what === "throughput") {
	const { throughput } = await import("./throughput.mjs");
	process.exitCode = await throughput(rest);
} else if (what === "gateway") {
	const { gateway } = await import("./gateway.mjs");
	process.exit(await gateway(rest));
} else if (what === "readers") {
	const { readers } = await import("./readers.mjs");
	process.exit(await readers(rest));
} else if (what === "admissions") {
	const { admissions } = await import("./admissions.mjs");
	process.exit(await admissions(rest));
} else if (what === "ledger") {
	const { ledger } = await import("./ledger.mjs");
	process.exit(await ledger(rest));
} else if (what === "profile") {
	const { profile } = await import("./profile.mjs");
	process.exit(await profile(rest));
} else if (what === "webhooks") {
	const { webhooks } = await import("./webhooks.mjs");
	process.exit(await webhooks(rest));
} else if (what === "edge" || what.startsWith("--")) {
	await import("./edge.mjs");
} else {
	process.stderr.write(`There is no bench "${what}".\n\n${HELP}`);
	process.exitCode = 1;
}
