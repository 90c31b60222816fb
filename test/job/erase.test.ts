import { runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import type { Job } from "../../src/job/job.ts";
import { followLog, openJobLog } from "../../src/stream/follower.ts";
import { eventStream } from "../../src/stream/sse-writer.ts";
import { bindings } from "../support/account.ts";
import { eventually } from "../support/eventually.ts";
import {
	admittedJob,
	events,
	fakeWorker,
	gate,
	money,
	read,
	startedJob,
	type TestJob,
	words,
} from "../support/jobs.ts";

const GONE = { ok: false, failure: { code: "job_gone" } };

/** All that the object stores, as text. */
const stored = (job: TestJob): Promise<string> =>
	runInDurableObject(job.stub(), (_, { storage: { sql } }) =>
		JSON.stringify(sql.exec("SELECT * FROM event").toArray()),
	);

describe("an erased job", () => {
	it("has no log, spec or prompt any more, and is never run again", async () => {
		const worker = fakeWorker({ tokens: [" secret"] });
		const job = await startedJob({
			prompt: "private",
			metadata: { my: "own" },
		});
		await events(job);
		const before = await stored(job);
		for (const each of ["secret", "private", "own"])
			expect(before).toContain(each);
		expect(await job.stub().erase()).toBe("erased");
		expect(await stored(job)).toBe(
			JSON.stringify([
				{
					seq: 0,
					type: "tombstone",
					data: JSON.stringify({
						jobId: job.id,
						status: "succeeded",
						outputTokens: 1,
						maxTokens: 300,
					}),
					token_ids: null,
					held: null,
					spec: null,
					state: null,
					prompt_ids: null,
				},
			]),
		);
		expect(await job.stub().view()).toBe(null);
		expect(await job.stub().cancel()).toBe(null);
		expect(await job.stub().start(job.spec)).toEqual(GONE);
		const open = openJobLog(bindings, job.account.id, job.id);
		expect((await open(0)).status).toBe(404);
		expect(worker.requests).toHaveLength(1);
		expect(await money(job.account)).toEqual({ available: 999_000, held: 0 });
	});

	it("stays so when it is opened again, and tells its account how it had ended", async () => {
		fakeWorker({ tokens: words(2) });
		const job = await startedJob();
		await events(job);
		await job.stub().erase();
		await runInDurableObject(job.stub(), async (_, state) => {
			await state.storage.sync();
			state.abort("killed");
		}).catch(() => {});
		expect(await job.stub().erase()).toBe("erased");
		expect(await job.stub().start(job.spec)).toEqual(GONE);
		expect(await job.stub().resolve()).toMatchObject({
			answer: "finished",
			outcome: { status: "succeeded", outputTokens: 2 },
		});
		expect(
			await runInDurableObject(job.stub(), (_, { storage }) =>
				storage.getAlarm(),
			),
		).toBe(null);
	});

	it("ends the streams of its readers, which get what they had and no `done`", async () => {
		const tokens = Array.from({ length: 40 }, () => "x".repeat(20_000));
		fakeWorker({ tokens, every: 40 });
		const job = await startedJob({ sampling: { max_tokens: 2_000 } });
		await events(job);
		// One that is in the middle of it: it cannot take all at once.
		const open = openJobLog(bindings, job.account.id, job.id);
		const never = new AbortController().signal;
		const bytes = eventStream({
			follow: followLog(open, await open(0), 0),
			signal: never,
		});
		await eventually(() =>
			runInDurableObject(job.stub(), (_: Job, state) =>
				expect(state.getWebSockets()).toHaveLength(1),
			),
		);
		await new Promise((wait) => setTimeout(wait, 200));
		await job.stub().erase();
		const seen = await read(bytes);
		expect(seen.at(-1)?.type).toBe("token");
	});

	it("was not running: a job is canceled first", async () => {
		const { opened, open } = gate();
		fakeWorker({
			tokens: words(3),
			gate: (n) => (n === 2 ? opened : undefined),
		});
		const job = await startedJob();
		await events(job, 0, ({ type }) => type === "token");
		expect(await job.stub().erase()).toBe("running");
		open();
		await events(job);
		expect(await job.stub().erase()).toBe("erased");
	});

	it("may never have been started: then it never is", async () => {
		const job = await admittedJob();
		expect(await job.stub().erase()).toBe("erased");
		expect(await job.stub().start(job.spec)).toEqual(GONE);
		expect(await job.stub().resolve()).toEqual({ answer: "void" });
	});
});
