import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import type { Job } from "../../src/job/job.ts";
import { openFromStart, openJobLog } from "../../src/stream/follower.ts";
import { waitForDone } from "../../src/stream/sse-writer.ts";
import { bindings } from "../support/account.ts";
import { eventually } from "../support/eventually.ts";
import {
	admittedJob,
	events,
	fakeWorker,
	gate,
	left,
	money,
	paid,
	startedJob,
	type TestJob,
	textOf,
	types,
	words,
} from "../support/jobs.ts";

const pool = () => bindings.POOL.get(bindings.POOL.idFromName("nano"));
const name = (job: TestJob) => `${job.account.id}/${job.id}`;

/** Sets the job's clock ahead by `ms`, and fires its alarm. */
async function advance(job: TestJob, ms: number): Promise<void> {
	await runInDurableObject(job.stub(), (object: Job) => {
		object.clock = () => Date.now() + ms;
	});
	await runDurableObjectAlarm(job.stub());
}

const hasTokens = (job: TestJob, atLeast: number) =>
	eventually(async () => {
		const view = await job.stub().view();
		expect(view?.outputTokens).toBeGreaterThanOrEqual(atLeast);
	});

/** A worker that stops before its n-th token. */
function stuck(n: number) {
	const { opened, open } = gate();
	const worker = fakeWorker({
		tokens: words(50),
		gate: (at) => (at === n ? opened : undefined),
	});
	return { worker, open };
}

describe("a canceled job", () => {
	it("that waits for a worker is free, and leaves the queue", async () => {
		const worker = fakeWorker({ tokens: words(3) });
		worker.state = "away";
		const job = await startedJob();
		await eventually(async () =>
			expect(await pool().place(name(job))).not.toBe(null),
		);
		expect(await job.stub().cancel()).toMatchObject({
			status: "canceled",
			price: 0,
			startedAt: null,
		});
		expect(await pool().place(name(job))).toBe(null);
		expect((await events(job)).slice(-3).map(({ type }) => type)).toEqual([
			"usage",
			"job.canceled",
			"done",
		]);
		expect(await money(job.account)).toEqual({ available: 1_000_000, held: 0 });
		worker.state = "ready";
		await runDurableObjectAlarm(pool());
		expect(worker.requests).toHaveLength(0);
	});

	it("that runs keeps its text and pays for it; the worker stops within 2 s", async () => {
		const { worker } = stuck(30);
		const job = await startedJob();
		const reading = events(job);
		await hasTokens(job, 30);
		const before = Date.now();
		const view = await job.stub().cancel();
		await eventually(() => expect(worker.running).toBe(0));
		expect(Date.now() - before).toBeLessThan(2_000);
		// 13 tokens of the prompt, and 30.
		expect(view).toMatchObject({
			status: "canceled",
			text: words(30).join(""),
			price: 43,
		});
		const seen = await reading;
		expect(textOf(seen)).toBe(words(30).join(""));
		expect(seen.slice(-3).map(({ type }) => type)).toEqual([
			"usage",
			"job.canceled",
			"done",
		]);
		expect(seen.at(-2)?.data).toEqual({
			id: job.id,
			status: "canceled",
			...paid(30),
		});
		expect(await money(job.account)).toEqual(left(30));
		expect((await pool().load("nano")).running).toBe(0);
	});

	it("shows the text that was withheld, because its tokens are paid", async () => {
		const { opened } = gate();
		fakeWorker({
			tokens: ["one", " EN", "x"],
			group: 2,
			gate: (n) => (n === 2 ? opened : undefined),
		});
		const job = await startedJob({ sampling: { stop: ["END"] } });
		await hasTokens(job, 2);
		expect((await job.stub().view())?.text).toBe("one ");
		expect(await job.stub().cancel()).toMatchObject({
			text: "one EN",
			outputTokens: 2,
		});
	});

	it("that waits for its next attempt ends at once", async () => {
		const faults = { 1: { break: true, after: 2 } as const };
		fakeWorker({ tokens: words(9), faults });
		const job = await admittedJob();
		await runInDurableObject(job.stub(), (object: Job) => {
			object.random = () => 0.99;
		});
		await job.stub().start(job.spec);
		await events(job, 0, ({ type }) => type === "job.retrying");
		expect(await job.stub().cancel()).toMatchObject({
			status: "canceled",
			text: words(2).join(""),
		});
	});

	it("that ended before stays as it ended", async () => {
		fakeWorker({ tokens: words(3) });
		const job = await startedJob();
		await events(job);
		const before = await job.stub().view();
		expect(await job.stub().cancel()).toEqual(before);
		expect(await money(job.account)).toEqual(left(3));
	});

	it("several times is canceled once", async () => {
		stuck(3);
		const job = await startedJob();
		await hasTokens(job, 3);
		const views = await Promise.all([1, 2, 3].map(() => job.stub().cancel()));
		for (const view of views) expect(view?.status).toBe("canceled");
		const seen = await events(job);
		expect(seen.filter(({ type }) => type === "job.canceled")).toHaveLength(1);
		expect(await money(job.account)).toEqual(left(3));
	});

	it("whose object dies right after stays canceled", async () => {
		const { worker } = stuck(3);
		const job = await startedJob();
		await hasTokens(job, 3);
		await runInDurableObject(job.stub(), async (object: Job, state) => {
			void object.cancel();
			await state.storage.sync();
			state.abort("killed");
		}).catch(() => {});
		const seen = await events(job);
		expect(seen.at(-2)?.type).toBe("job.canceled");
		expect(worker.requests).toHaveLength(1);
		expect(await money(job.account)).toEqual(left(3));
	});

	it("is none where no job was started", async () => {
		const job = await admittedJob();
		expect(await job.stub().cancel()).toBe(null);
	});
});

describe("a deadline", () => {
	it("to start expires a waiting job, free, out of the queue", async () => {
		fakeWorker({ tokens: [] }).state = "away";
		const job = await startedJob({ startBy: Date.now() + 60_000 });
		await eventually(async () =>
			expect(await pool().place(name(job))).not.toBe(null),
		);
		await advance(job, 61_000);
		const seen = await events(job);
		expect(seen.at(-2)?.data).toEqual({
			id: job.id,
			status: "expired",
			price: 0,
			price_parts: [],
		});
		expect(await pool().place(name(job))).toBe(null);
		expect(await money(job.account)).toEqual({ available: 1_000_000, held: 0 });
	});

	it("to end expires a running job, free, and the worker stops", async () => {
		const { worker } = stuck(5);
		const job = await startedJob({ endBy: Date.now() + 60_000 });
		await hasTokens(job, 5);
		await advance(job, 61_000);
		const seen = await events(job);
		expect(seen.at(-2)?.data).toMatchObject({ status: "expired", price: 0 });
		expect(textOf(seen)).toBe(words(5).join(""));
		await eventually(() => expect(worker.running).toBe(0));
		expect(await money(job.account)).toEqual({ available: 1_000_000, held: 0 });
	});

	it("to be canceled cancels a running job, which pays what it wrote", async () => {
		stuck(30);
		const job = await startedJob({ cancelAt: Date.now() + 60_000 });
		await hasTokens(job, 30);
		await advance(job, 61_000);
		expect((await events(job)).at(-2)?.data).toMatchObject({
			status: "canceled",
			...paid(30),
		});
	});

	it("fires without any caller", async () => {
		stuck(1);
		const job = await startedJob({ cancelAt: Date.now() + 1_200 });
		await eventually(
			() =>
				runInDurableObject(job.stub(), (_, { storage }) => {
					const { state } = storage.sql.exec<{ state: string }>(STATE).one();
					expect(JSON.parse(state).status).toBe("canceled");
				}),
			{ interval: 100 },
		);
	});
});

describe("a job with on_disconnect: cancel", () => {
	const minding = { onDisconnect: "cancel" } as const;
	const first = ({ type }: { type: string }) => type === "token";
	const view = (job: TestJob) => job.stub().view();

	it("ends ten seconds after its last reader was lost, not before", async () => {
		stuck(30);
		const job = await startedJob(minding);
		await hasTokens(job, 30);
		await Promise.all([events(job, 0, first), events(job, 0, first)]);
		await eventually(async () =>
			expect(await stateOf(job)).toMatchObject({
				abandonedAt: expect.any(Number),
			}),
		);
		await advance(job, 8_000);
		expect(await view(job)).toMatchObject({ status: "running" });
		await advance(job, 11_000);
		expect((await events(job)).at(-2)?.data).toMatchObject({
			status: "canceled",
			...paid(30),
		});
	});

	it("continues when a reader comes back", async () => {
		const { open } = stuck(3);
		const job = await startedJob(minding);
		await events(job, 0, first);
		await eventually(async () =>
			expect((await stateOf(job)).abandonedAt).not.toBe(null),
		);
		const back = events(job);
		await eventually(async () =>
			expect((await stateOf(job)).abandonedAt).toBe(null),
		);
		await advance(job, 60_000);
		open();
		expect(types(await back).at(-2)).toBe("job.succeeded");
	});

	it("ends when a restart cut off its reader and it does not come back", async () => {
		stuck(30);
		const job = await startedJob(minding);
		await hasTokens(job, 30);
		// The state after a crash of the whole edge: there was a reader, and no socket survived.
		await runInDurableObject(job.stub(), async (_, state) => {
			state.storage.sql.exec(
				`UPDATE event SET state = json_set(state, '$.watched', json('true'))
					WHERE state IS NOT NULL`,
			);
			await state.storage.sync();
			state.abort("killed");
		}).catch(() => {});
		await view(job);
		expect((await stateOf(job)).abandonedAt).not.toBe(null);
		await advance(job, 11_000);
		expect(await view(job)).toMatchObject({ status: "canceled", price: 43 });
	});

	it("is canceled by the next instance where the object restarts meanwhile", async () => {
		stuck(30);
		const job = await startedJob(minding);
		await hasTokens(job, 30);
		await events(job, 0, first);
		await eventually(async () =>
			expect((await stateOf(job)).abandonedAt).not.toBe(null),
		);
		await runInDurableObject(job.stub(), (_, state) =>
			state.abort("killed"),
		).catch(() => {});
		await advance(job, 11_000);
		await eventually(async () =>
			expect(await view(job)).toMatchObject({ status: "canceled" }),
		);
	});

	it("continues when its caller's `Prefer: wait` is over", async () => {
		const { open } = stuck(3);
		const job = await startedJob(minding);
		const opens = openJobLog(bindings, job.account.id, job.id);
		const never = new AbortController().signal;
		const follow = await openFromStart(opens);
		expect(await waitForDone(follow, 100, never)).toBe(false);
		await eventually(async () =>
			expect((await stateOf(job)).watched).toBe(false),
		);
		await advance(job, 60_000);
		open();
		expect(types(await events(job)).at(-2)).toBe("job.succeeded");
	});

	it("continues while it never had a reader", async () => {
		const { open } = stuck(3);
		const job = await startedJob(minding);
		await hasTokens(job, 3);
		await advance(job, 60_000);
		open();
		await eventually(async () =>
			expect((await view(job))?.status).toBe("succeeded"),
		);
	});

	it("is not the default", async () => {
		const { open } = stuck(3);
		const job = await startedJob();
		await events(job, 0, first);
		await advance(job, 60_000);
		open();
		expect(types(await events(job)).at(-2)).toBe("job.succeeded");
	});
});

const stateOf = (job: TestJob) =>
	runInDurableObject(job.stub(), (_, { storage }) =>
		JSON.parse(storage.sql.exec<{ state: string }>(STATE).one().state),
	);

/** The newest row that carries a state. */
const STATE =
	"SELECT state FROM event WHERE state IS NOT NULL ORDER BY seq DESC LIMIT 1";
