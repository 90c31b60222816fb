/** A job that waits for a slot: it has a place, costs nothing, and is never lost. */
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { describe, expect, it, vi } from "vitest";
import { Account } from "../../src/account/account.ts";
import { unwrap } from "../../src/errors.ts";
import type { Job } from "../../src/job/job.ts";
import { Pool } from "../../src/pool/pool.ts";
import { StateEvent } from "../../src/schema/event.ts";
import { bindings } from "../support/account.ts";
import { eventually } from "../support/eventually.ts";
import {
	admittedJob,
	events,
	fakeWorker,
	gate,
	paid,
	startedJob,
	type TestJob,
	textOf,
	words,
} from "../support/jobs.ts";

const pool = () => bindings.POOL.get(bindings.POOL.idFromName("nano"));
const name = (job: TestJob) => `${job.account.id}/${job.id}`;
const place = {
	position: expect.any(Number),
	eta: {
		start: { p50: expect.any(Number), p90: expect.any(Number) },
		first_token: { p50: expect.any(Number), p90: expect.any(Number) },
		finish: { p50: expect.any(Number), p90: expect.any(Number) },
		cold: expect.any(Boolean),
	},
};
const QUANTILES = { p50: 1, p90: 2 };
const ETA = {
	start: QUANTILES,
	first_token: QUANTILES,
	finish: QUANTILES,
	cold: false,
};
const isQueued = (job: TestJob) =>
	eventually(async () => expect(await pool().place(name(job))).not.toBe(null));

describe("a waiting job", () => {
	it("has place and ETA in the answer to its creation, in its view and in its events", async () => {
		fakeWorker({ tokens: words(2) }).state = "away";
		await startedJob();
		const job = await admittedJob();
		const { view } = unwrap(await job.stub().start(job.spec));
		expect(view.queue).toEqual(place);
		expect(view.queue).toMatchObject({ position: 2, eta: { cold: true } });
		expect((await job.stub().view())?.queue).toEqual(place);
		const seen = await events(
			job,
			0,
			({ type }) => type === "job.provisioning",
		);
		expect(seen.at(-1)?.data).toEqual({
			id: job.id,
			status: "provisioning",
			...place,
		});
		expect(seen[0]?.data).toEqual({ id: job.id, status: "queued" });
		for (const { data } of seen)
			expect(StateEvent.strict().parse(data)).toEqual(data);
	});

	it("has no place once it runs", async () => {
		const { opened, open } = gate();
		fakeWorker({
			tokens: words(2),
			gate: (n) => (n === 1 ? opened : undefined),
		});
		const job = await startedJob();
		await events(job, 0, ({ type }) => type === "token");
		expect((await job.stub().view())?.queue).toBe(null);
		open();
		await events(job);
		expect((await job.stub().view())?.queue).toBe(null);
	});

	it("is shown without a place where the pool does not answer", async () => {
		fakeWorker({ tokens: [] }).state = "away";
		const job = await startedJob();
		await isQueued(job);
		const mute = vi.spyOn(Pool.prototype, "place");
		mute.mockRejectedValue(new Error("unreachable"));
		expect(await job.stub().view()).toMatchObject({
			status: "provisioning",
			queue: null,
		});
	});

	it("leaves memory while it waits, and continues when a worker comes", async () => {
		const worker = fakeWorker({ tokens: words(3) });
		worker.state = "away";
		const job = await startedJob();
		const reading = events(job);
		await events(job, 0, ({ type }) => type === "job.provisioning");
		await runInDurableObject(job.stub(), (object: Job) => {
			Object.assign(object, { awake: true });
		});
		// The platform evicts an object that has been idle for ten seconds.
		await new Promise((wait) => setTimeout(wait, 13_000));
		await runInDurableObject(job.stub(), (object: Job) => {
			expect(object).not.toHaveProperty("awake");
		});
		worker.state = "ready";
		const seen = await reading;
		expect(textOf(seen)).toBe(words(3).join(""));
		expect(seen.map(({ seq }) => seq)).toEqual(seen.map((_, n) => n + 1));
	}, 40_000);

	it("requests a slot again when the pool lost it", async () => {
		fakeWorker({ tokens: [] }).state = "away";
		const job = await startedJob();
		await isQueued(job);
		await pool().leave(name(job));
		expect(await pool().place(name(job))).toBe(null);
		await runDurableObjectAlarm(job.stub());
		await isQueued(job);
	});

	it("requests a slot again when the pool was unreachable", async () => {
		fakeWorker({ tokens: words(2) });
		const acquire = vi.spyOn(Pool.prototype, "acquire");
		acquire.mockRejectedValueOnce(new Error("unreachable"));
		const job = await startedJob();
		await eventually(() => expect(acquire).toHaveBeenCalled());
		expect(await runDurableObjectAlarm(job.stub())).toBe(true);
		expect(textOf(await events(job))).toBe(words(2).join(""));
	});

	it("keeps a slot that it got before the answer that it must wait", async () => {
		const worker = fakeWorker({ tokens: words(3), every: 20 });
		const leave = vi.spyOn(Pool.prototype, "leave");
		const acquire = vi.spyOn(Pool.prototype, "acquire");
		const real = Pool.prototype.acquire;
		acquire.mockImplementationOnce(async function (this: Pool, request) {
			const acquired = await real.call(this, request);
			if (acquired.status !== "granted") throw new Error("no slot");
			const [account, id] = request.job.split("/");
			const stub = bindings.JOB.get(
				bindings.JOB.idFromName(`${account}/${id}`),
			);
			expect(await stub.granted(acquired.lease)).toBe(true);
			return { status: "queued", position: 1, eta: { ...ETA } };
		});
		const job = await startedJob();
		expect(textOf(await events(job))).toBe(words(3).join(""));
		expect(leave).not.toHaveBeenCalled();
		expect(worker.requests).toHaveLength(1);
	});

	it("gives back a slot that came too late", async () => {
		fakeWorker({ tokens: words(2) });
		const { opened, open } = gate();
		const real = Pool.prototype.acquire;
		const acquire = vi.spyOn(Pool.prototype, "acquire");
		acquire.mockImplementationOnce(async function (this: Pool, request) {
			await opened;
			return real.call(this, request);
		});
		const job = await startedJob();
		const canceled = job.stub().cancel();
		await eventually(async () =>
			expect((await stateOf(job)).outcome).toBe("canceled"),
		);
		open();
		expect(await canceled).toMatchObject({ status: "canceled", price: 0 });
		await eventually(async () =>
			expect((await pool().load("nano")).running).toBe(0),
		);
	});
});

describe("a job whose account does not acknowledge", () => {
	it("repeats the settlement less and less often, and at once on a call", async () => {
		fakeWorker({ tokens: words(2) });
		const settle = vi.spyOn(Account.prototype, "settle");
		settle.mockResolvedValue(null);
		const job = await startedJob();
		await eventually(() => expect(settle).toHaveBeenCalledTimes(1));
		const waits: number[] = [];
		let ahead = 0;
		for (let n = 0; n < 6; n++) {
			await eventually(async () => {
				const next = await runInDurableObject(
					job.stub(),
					async (object: Job, { storage }) =>
						((await storage.getAlarm()) ?? 0) - object.clock(),
				);
				expect(next).toBeGreaterThan(0);
				waits.push(next);
			});
			ahead += waits.at(-1) as number;
			await runInDurableObject(job.stub(), (object: Job) => {
				object.clock = () => Date.now() + ahead;
			});
			await runDurableObjectAlarm(job.stub());
		}
		expect(waits[0]).toBeLessThanOrEqual(5_000);
		expect(waits.at(-1)).toBeGreaterThan(50_000);
		settle.mockRestore();
		await job.stub().view();
		expect((await events(job)).at(-2)?.data.price).toBe(paid(2).price);
	});
});

const stateOf = (job: TestJob) =>
	runInDurableObject(job.stub(), (_, { storage }) =>
		JSON.parse(storage.sql.exec<{ state: string }>(STATE).one().state),
	);

/** The newest row that carries a state. */
const STATE =
	"SELECT state FROM event WHERE state IS NOT NULL ORDER BY seq DESC LIMIT 1";
