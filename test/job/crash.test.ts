import {
	abortAllDurableObjects,
	evictDurableObject,
	runDurableObjectAlarm,
	runInDurableObject,
} from "cloudflare:test";
import { describe, expect, it, vi } from "vitest";
import { Account } from "../../src/account/account.ts";
import type { Job } from "../../src/job/job.ts";
import { MAX_FAILURES } from "../../src/job/state.ts";
import { accountStub, bindings, moveClock } from "../support/account.ts";
import { eventually } from "../support/eventually.ts";
import { FIRST_ID } from "../support/fake-worker.ts";
import {
	admittedJob,
	events,
	fakeWorker,
	gate,
	HOLD,
	left,
	money,
	paid,
	startedJob,
	type TestJob,
	textOf,
	words,
} from "../support/jobs.ts";

/** Aborts the object, as a crash does: what is not committed is lost. */
async function kill(job: TestJob): Promise<void> {
	await runInDurableObject(job.stub(), (_, state) =>
		state.abort("killed"),
	).catch(() => {});
}

const pool = () => bindings.POOL.get(bindings.POOL.idFromName("nano"));

const debits = async (job: TestJob): Promise<number> =>
	1_000_000 - (await money(job.account)).available;

describe("a job whose object dies", () => {
	it("mid-stream continues from the committed ids: one whole text, one debit", async () => {
		const { opened, open } = gate();
		const worker = fakeWorker({
			tokens: words(12),
			every: 5,
			gate: (n, attempt) => (n === 6 && attempt === 1 ? opened : undefined),
		});
		const job = await startedJob();
		const reading = events(job);
		await eventually(async () =>
			expect((await job.stub().view())?.outputTokens).toBe(6),
		);
		await kill(job);
		open();
		const seen = await reading;
		expect(textOf(seen)).toBe(words(12).join(""));
		expect(seen.map(({ seq }) => seq)).toEqual(seen.map((_, n) => n + 1));
		expect(seen.find(({ type }) => type === "job.retrying")?.data).toEqual({
			attempt: 2,
			reason: "restarted",
		});
		expect(worker.requests[1]?.committed_token_ids).toEqual(
			Array.from({ length: 6 }, (_, n) => FIRST_ID + n),
		);
		expect(worker.requests[1]?.max_tokens).toBe(300 - 6);
		expect(await debits(job)).toBe(paid(12).price);
	});

	it("at any token, several times, still gives the same answer", async () => {
		const worker = fakeWorker({ tokens: words(20), every: 8 });
		const job = await startedJob();
		const reading = events(job);
		for (const tokens of [1, 5, 11, 17]) {
			await eventually(async () =>
				expect((await job.stub().view())?.outputTokens).toBeGreaterThanOrEqual(
					tokens,
				),
			);
			await kill(job);
		}
		expect(textOf(await reading)).toBe(words(20).join(""));
		expect(worker.requests.length).toBeGreaterThan(1);
		expect(await debits(job)).toBe(paid(20).price);
	});

	it("many times before the first token does not fail the job", async () => {
		const deaths = MAX_FAILURES + 1;
		const worker = fakeWorker({
			tokens: words(3),
			gate: (_, attempt) =>
				attempt <= deaths ? new Promise(() => {}) : undefined,
		});
		const job = await startedJob();
		await eventually(() => expect(worker.requests).toHaveLength(1));
		let ahead = 0;
		for (let n = 1; n <= deaths; n++) {
			await kill(job);
			// Fires the alarm ahead of time, so that the test need not wait for each backoff.
			await eventually(async () => {
				ahead += 30_000;
				await runInDurableObject(job.stub(), (object: Job) => {
					object.clock = () => Date.now() + ahead;
				});
				await runDurableObjectAlarm(job.stub());
				expect(worker.requests).toHaveLength(n + 1);
			});
		}
		expect(textOf(await events(job))).toBe(words(3).join(""));
		expect(worker.requests).toHaveLength(deaths + 1);
		expect(await debits(job)).toBe(paid(3).price);
	});

	it("and gets no call continues by its alarm", async () => {
		const { opened, open } = gate();
		fakeWorker({
			tokens: words(4),
			gate: (n, attempt) => (n === 2 && attempt === 1 ? opened : undefined),
		});
		const job = await startedJob();
		await events(job, 0, ({ type }) => type === "token");
		await kill(job);
		open();
		expect(await runDurableObjectAlarm(job.stub())).toBe(true);
		expect(textOf(await events(job))).toBe(words(4).join(""));
	});

	it("between admit and claim never ran: its hold is released, its id refused", async () => {
		const worker = fakeWorker({ tokens: ["x"] });
		const job = await admittedJob();
		await abortAllDurableObjects();
		const account = { ...job.account, stub: accountStub(job.account.id) };
		expect((await money(account)).held).toBe(HOLD);
		await moveClock(account.stub, 120_000);
		await runDurableObjectAlarm(account.stub);
		expect(await money(account)).toEqual({ available: 1_000_000, held: 0 });
		expect((await job.stub().start(job.spec)).ok).toBe(false);
		expect(worker.requests).toHaveLength(0);
	});

	it("right after its claim runs by its alarm", async () => {
		fakeWorker({ tokens: ["x"] });
		const job = await admittedJob();
		await runInDurableObject(job.stub(), async (object: Job, state) => {
			await object.start(job.spec);
			await state.storage.sync();
			state.abort("killed");
		}).catch(() => {});
		await runDurableObjectAlarm(job.stub());
		expect(textOf(await events(job))).toBe("x");
		expect(await debits(job)).toBe(paid(1).price);
	});

	it("between last token and settle is settled by the next instance, once", async () => {
		const worker = fakeWorker({ tokens: words(3) });
		const settle = vi.spyOn(Account.prototype, "settle");
		let job: TestJob;
		settle.mockImplementationOnce(async () => {
			await kill(job);
			throw new Error("the caller is gone");
		});
		job = await startedJob();
		await eventually(() => expect(settle).toHaveBeenCalled());
		expect(await debits(job)).toBe(HOLD); // held
		const seen = await events(job);
		expect(textOf(seen)).toBe(words(3).join(""));
		expect(seen.at(-2)?.data.price).toBe(paid(3).price);
		expect(worker.requests).toHaveLength(1);
		expect(await money(job.account)).toEqual(left(3));
	});

	it("after the debit, before it is acknowledged, settles again: one debit", async () => {
		fakeWorker({ tokens: words(3) });
		const real = Account.prototype.settle;
		const settle = vi.spyOn(Account.prototype, "settle");
		let job: TestJob;
		settle.mockImplementationOnce(async function (this: Account, outcome) {
			const settlement = await real.call(this, outcome);
			await kill(job);
			return settlement;
		});
		job = await startedJob();
		await eventually(() => expect(settle).toHaveBeenCalled());
		const seen = await events(job);
		expect(settle.mock.calls.length).toBeGreaterThan(1);
		expect(seen.at(-2)?.data.price).toBe(paid(3).price);
		expect(await money(job.account)).toEqual(left(3));
	});

	it("while the account is unreachable settles again until it answers", async () => {
		fakeWorker({ tokens: words(3) });
		const settle = vi.spyOn(Account.prototype, "settle");
		settle.mockRejectedValueOnce(new Error("unreachable"));
		settle.mockRejectedValueOnce(new Error("unreachable"));
		const job = await startedJob();
		await eventually(() => expect(settle).toHaveBeenCalledTimes(1));
		for (let n = 0; n < 3; n++) await runDurableObjectAlarm(job.stub());
		expect((await events(job)).at(-2)?.data.price).toBe(paid(3).price);
	});

	it("while its readers hibernate loses none of them", async () => {
		const { opened, open } = gate();
		const worker = fakeWorker({
			tokens: words(6),
			gate: (n, attempt) => (n === 3 && attempt === 1 ? opened : undefined),
		});
		const job = await startedJob();
		const readers = Array.from({ length: 5 }, () => events(job));
		await eventually(async () =>
			expect((await job.stub().view())?.outputTokens).toBeGreaterThan(0),
		);
		const evicting = evictDurableObject(job.stub());
		open();
		await evicting;
		for (const seen of await Promise.all(readers))
			expect(textOf(seen)).toBe(words(6).join(""));
		expect(worker.requests.length).toBeGreaterThanOrEqual(1);
	});
});

describe("an attempt", () => {
	it("whose lease ended is stopped, and the job continues under a new lease", async () => {
		const { opened, open } = gate();
		const worker = fakeWorker({
			tokens: words(6),
			gate: (n, attempt) => (n === 3 && attempt === 1 ? opened : undefined),
		});
		const job = await startedJob();
		await events(job, 0, ({ type }) => type === "token");
		await pool().leave(`${job.account.id}/${job.id}`);
		await runDurableObjectAlarm(job.stub());
		open();
		expect(textOf(await events(job))).toBe(words(6).join(""));
		expect(worker.requests).toHaveLength(2);
	});
});
