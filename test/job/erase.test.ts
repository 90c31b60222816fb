import { runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import type { Erased } from "../../src/contract/job.ts";
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
	paid,
	read,
	startedJob,
	type TestJob,
	words,
} from "../support/jobs.ts";
import { oneEach } from "../support/prices.ts";

const GONE = { ok: false, failure: { code: "job_gone" } };

/** The object's rows, as text. */
const stored = (job: TestJob): Promise<string> =>
	runInDurableObject(job.stub(), (_, { storage: { sql } }) =>
		JSON.stringify(sql.exec("SELECT * FROM event").toArray()),
	);

/** What " secret" costs that answers "private". */
const PAID = oneEach({ prompt_tokens: "private".length, output_tokens: 1 });

describe("an erased job", () => {
	it("keeps no log, spec or prompt, and never runs again", async () => {
		const worker = fakeWorker({ tokens: [" secret"] });
		const job = await startedJob({
			prompt: "private",
			metadata: { tag: "label" },
		});
		await events(job);
		const before = await stored(job);
		for (const each of ["secret", "private", "label"])
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
						price: PAID.price,
						parts: PAID.price_parts,
					}),
					token_ids: null,
					withheld: null,
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
		expect(await money(job.account)).toMatchObject({
			available: 1_000_000 - PAID.price,
		});
	});

	it("stays erased after a restart, and still reports its outcome to the Account", async () => {
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
			status: "finished",
			outcome: { status: "succeeded", price: paid(2).price },
		});
		expect(
			await runInDurableObject(job.stub(), (_, { storage }) =>
				storage.getAlarm(),
			),
		).toBe(null);
	});

	it("ends the streams of its readers without `done`", async () => {
		const tokens = Array.from({ length: 40 }, () => "x".repeat(20_000));
		fakeWorker({ tokens, every: 40 });
		const job = await startedJob({ sampling: { max_tokens: 2_000 } });
		await events(job);
		// This reader is in the middle of the log, because its buffer is full.
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

	it("had ended: a running job must be canceled first", async () => {
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

	it("may never have started, and then it never does", async () => {
		const job = await admittedJob();
		expect(await job.stub().erase()).toBe("erased");
		expect(await job.stub().start(job.spec)).toEqual(GONE);
		expect(await job.stub().resolve()).toEqual({ status: "void" });
	});
});

it("a job that one reader erases at its end still ends for all who are connected", async () => {
	const { opened, open } = gate();
	fakeWorker({
		tokens: words(3),
		gate: (n) => (n === 2 ? opened : undefined),
	});
	const job = await startedJob();
	let erasing: Promise<Erased> | null = null;
	const reading = Array.from({ length: 250 }, (_, n) =>
		events(job, 0, ({ type }) => {
			if (n === 0 && type === "done") erasing = job.stub().erase();
			return false;
		}),
	);
	await eventually(() =>
		runInDurableObject(job.stub(), (_, state) => {
			expect(state.getWebSockets()).toHaveLength(250);
		}),
	);
	open();
	const ends = (await Promise.all(reading)).map((read) => read.at(-1)?.type);
	expect(new Set(ends)).toEqual(new Set(["done"]));
	await eventually(async () => expect(await erasing).toBe("erased"));
});
