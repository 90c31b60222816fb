/** Random histories of jobs on the real objects: all invariants hold, whatever happens to a job. */
import {
	evictDurableObject,
	runDurableObjectAlarm,
	runInDurableObject,
} from "cloudflare:test";
import fc from "fast-check";
import { expect, it } from "vitest";
import type { Job } from "../../src/job/job.ts";
import { bindings } from "../support/account.ts";
import { eventually } from "../support/eventually.ts";
import { FAULTS, type FaultName } from "../support/fake-worker-faults.ts";
import { gather } from "../support/gather-objects.ts";
import { told, violations } from "../support/invariants.ts";
import {
	events,
	fakeWorker,
	startedJob,
	type TestJob,
} from "../support/jobs.ts";

/** The faults that a retry mends, except those that take half a minute of silence. */
const MENDABLE: FaultName[] = [
	"is overloaded",
	"is draining",
	"has an engine that failed",
	"loses its engine mid-answer",
	"is not there",
	"dies before the first token",
	"dies mid-answer",
	"dies inside a character",
	"ends its stream after some bytes",
	"ends without `done`",
	"sends ids that are none",
	"is hidden by an error page",
];

const upTo = (max: number) => fc.integer({ min: 0, max });
const history = fc.record({
	tokens: fc.array(fc.constantFrom("a", " ü", "", "😀", "\n", " b"), {
		minLength: 1,
		maxLength: 14,
	}),
	group: fc.integer({ min: 1, max: 3 }),
	maxTokens: fc.integer({ min: 1, max: 16 }),
	/** The fault of each attempt. */
	faults: fc.array(fc.option(fc.constantFrom(...MENDABLE)), { maxLength: 3 }),
	/** After how many tokens the object dies, and after how many the caller cancels. */
	deaths: fc.array(upTo(14), { maxLength: 2 }),
	cancel: fc.option(upTo(14), { freq: 3 }),
	/** The event after which another reader begins. */
	after: upTo(6),
});

const pool = () => bindings.POOL.get(bindings.POOL.idFromName("nano"));

const kill = (job: TestJob): Promise<void> =>
	runInDurableObject(job.stub(), (_, state) => state.abort("killed")).catch(
		() => {},
	);

/** Waits until so many tokens are in the log, or the job has ended. */
const until = (job: TestJob, tokens: number) =>
	eventually(
		async () => {
			const view = await job.stub().view();
			if (view?.finishedAt === null)
				expect(view.outputTokens).toBeGreaterThanOrEqual(tokens);
		},
		{ interval: 5 },
	);

/** Fires the job's alarms ahead of time until it ends; no deadline passes. */
async function fireAlarms(job: TestJob): Promise<void> {
	for (let ahead = 0; ; ahead = Math.min(ahead + 60_000, 1_800_000)) {
		if ((await job.stub().view())?.finishedAt) return;
		await runInDurableObject(job.stub(), (object: Job) => {
			object.clock = () => Date.now() + ahead;
		});
		await runDurableObjectAlarm(job.stub());
		await new Promise((resolve) => setTimeout(resolve, 30));
	}
}

it("a job that fails, dies and is canceled at any point has one end, text and price", async () => {
	await fc.assert(
		fc.asyncProperty(history, async (history) => {
			const { tokens, group, maxTokens, deaths, cancel } = history;
			// The Pool must not remember the failures of the runs before.
			await evictDurableObject(pool()).catch(() => {});
			fakeWorker({
				tokens,
				group,
				every: 4,
				faults: Object.fromEntries(
					history.faults.flatMap((name, n) =>
						name ? [[n + 1, FAULTS[name]]] : [],
					),
				),
			});
			const job = await startedJob({ sampling: { max_tokens: maxTokens } });
			const reading = events(job);
			const interventions = [
				...deaths.map((at) => ({ at, act: () => kill(job) })),
				...(cancel === null
					? []
					: [{ at: cancel, act: () => job.stub().cancel() }]),
			].sort((a, b) => a.at - b.at);
			const firing = fireAlarms(job).catch(() => {});
			for (const { at, act } of interventions) {
				await until(job, at);
				await act();
			}
			await firing;
			await fireAlarms(job);
			const seen = await reading;
			const late = await events(job, Math.min(history.after, seen.length - 1));
			const expected = {
				account: job.account.id,
				name: "one",
				ids: [job.id],
				text: tokens.slice(0, maxTokens).join(""),
				ends: ["succeeded", ...(cancel === null ? [] : ["canceled"])],
			};
			const readings = [
				{ job, seen },
				{ job, seen: late, after: Math.min(history.after, seen.length - 1) },
			];
			await eventually(async () => {
				const found = violations(await gather([job], readings, [expected]));
				expect(found.map(told)).toEqual([]);
			});
		}),
		{ numRuns: 30 },
	);
}, 120_000);
