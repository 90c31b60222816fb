/**
 * The fake worker as a process of its own, so that it can be killed. Its key is in WORKER_KEY:
 * `worker.ts <port> <seed> <jobs> <control URL>`.
 */
import { FakeWorker } from "../support/fake-worker.ts";
import { serve } from "../support/fake-worker-server.ts";
import { faultsOf, indexOf, type JobPlan, planOf } from "./plan.ts";

const [port, seed, jobs, control] = process.argv.slice(2) as [
	string,
	string,
	string,
	string,
];
const plan = planOf(Number(seed), Number(jobs));

/** Asks the harness where a strike is planned; a strike on this process means no answer. */
const at = (job: JobPlan, tokens: number): Promise<void> | undefined =>
	job.strikes.some(
		(strike) => strike.point === "token" && tokens >= strike.tokens,
	)
		? fetch(`${control}/at`, {
				method: "POST",
				body: JSON.stringify({
					point: "token",
					index: job.index,
					tokens,
					port: Number(port),
				}),
			}).then(
				() => {},
				() => {},
			)
		: undefined;

const worker = new FakeWorker((prompt) => {
	const job = plan.jobs[indexOf(prompt)] as JobPlan;
	const { tokens, every, group } = job;
	return {
		tokens,
		every,
		group,
		faults: faultsOf(job),
		gate: (n) => at(job, n),
	};
});
worker.slots = 8;
worker.key = process.env.WORKER_KEY ?? "";
worker.allowed = ["127.0.0.1"];
worker.look = (url) =>
	fetch(url, { signal: AbortSignal.timeout(3_000) })
		.then(async (answer) => answer.ok && (await answer.bytes()).length > 0)
		.catch(() => false);
worker.pingEvery = 2_000;
await serve(worker, Number(port));
