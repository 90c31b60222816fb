/** A job on backends of both kinds: one that can go on from committed ids and one that cannot. */
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { describe, expect, it, vi } from "vitest";
import {
	type Backend,
	BackendError,
	type BackendEvent,
	type Generation,
} from "../../src/backends/backend.ts";
import type { AttemptTimes } from "../../src/contract/pool.ts";
import type { Job } from "../../src/job/job.ts";
import { MAX_FAILURES } from "../../src/job/state.ts";
import { Pool } from "../../src/pool/pool.ts";
import { newAccount } from "../support/account.ts";
import { eventually } from "../support/eventually.ts";
import {
	admittedJob,
	events,
	fakeWorker,
	money,
	type Read,
	startedJob,
	type TestJob,
	textOf,
	words,
} from "../support/jobs.ts";

const token = (text: string): BackendEvent => ({
	type: "token",
	ids: [],
	tokens: 1,
	text,
});
const DONE: BackendEvent = { type: "done", reason: "stop" };

/** Says what the script has for the attempt; `BREAK` is where it fails. */
class Tiny implements Backend {
	readonly continues = false;
	readonly asked: Generation[] = [];
	readonly #script: (BackendEvent | "BREAK")[][];

	constructor(...script: (BackendEvent | "BREAK")[][]) {
		this.#script = script;
	}

	async *generate(generation: Generation): AsyncGenerator<BackendEvent> {
		this.asked.push(generation);
		for (const event of this.#script[this.asked.length - 1] ?? [])
			if (event === "BREAK")
				throw new BackendError("broken_stream", "scripted");
			else yield event;
	}
}

/** A job on that backend. The pool gives it a slot of the fake worker, which is never asked. */
async function on(backend: Backend): Promise<{ job: TestJob; seen: Read[] }> {
	const worker = fakeWorker({ tokens: [] });
	const job = await admittedJob();
	await runInDurableObject(job.stub(), (object: Job) => {
		object.backend = () => backend;
	});
	await job.stub().start(job.spec);
	const seen = await events(job);
	expect(worker.requests).toHaveLength(0);
	return { job, seen };
}

describe("a backend that cannot continue", () => {
	it("starts anew where nothing was shown, and its tokens are counted", async () => {
		const backend = new Tiny(
			["BREAK"],
			[
				token("one"),
				token(" two"),
				{ type: "prompt", ids: [], tokens: 9 },
				DONE,
			],
		);
		const { job, seen } = await on(backend);
		expect(textOf(seen)).toBe("one two");
		expect(seen.at(-3)?.data).toEqual({
			images: 0,
			prompt_tokens: 9,
			output_tokens: 2,
		});
		expect(backend.asked).toHaveLength(2);
		expect(backend.asked[1]?.prompt).toHaveProperty("messages");
		expect(await money(job.account)).toEqual({ available: 999_000, held: 0 });
	});

	it("fails the job at price 0 where something was shown: the rest cannot fit to it", async () => {
		const backend = new Tiny([token("one"), "BREAK"], [token("other"), DONE]);
		const { job, seen } = await on(backend);
		expect(textOf(seen)).toBe("one");
		expect(seen.at(-2)?.data).toMatchObject({
			status: "failed",
			price: 0,
			error: { code: "backend_failed" },
		});
		expect(backend.asked).toHaveLength(1);
		expect(await money(job.account)).toEqual({ available: 1_000_000, held: 0 });
	});

	it("takes up what it began, after all that it said", async () => {
		const backend = new Tiny(
			[{ type: "begun", run: "run-1" }, token("one"), token(" tw")],
			[token("o"), DONE],
		);
		// The object dies, the run goes on.
		const worker = fakeWorker({ tokens: [] });
		const job = await admittedJob();
		await runInDurableObject(job.stub(), (object: Job) => {
			object.backend = () => ({
				continues: false,
				async *generate(generation, signal) {
					yield* backend.generate(generation);
					if (backend.asked.length > 1) return;
					await new Promise((_, reject) =>
						signal.addEventListener("abort", () => reject(signal.reason)),
					);
				},
			});
			object.longestAttempt = 200;
		});
		await job.stub().start(job.spec);
		expect(textOf(await events(job))).toBe("one two");
		expect(backend.asked.map(({ resume }) => resume)).toEqual([
			null,
			{ run: "run-1", text: "one tw", tokens: 2 },
		]);
		expect(worker.requests).toHaveLength(0);
	});
});

describe("the pool", () => {
	const told = () => {
		const acquire = vi.spyOn(Pool.prototype, "acquire");
		const release = vi.spyOn(Pool.prototype, "release");
		return {
			asks: () => acquire.mock.calls.map(([ask]) => ask),
			releases: () => release.mock.calls.map((args) => args.slice(2)),
		};
	};

	it("is asked for another worker than the one that failed, and told what an answer took", async () => {
		const { asks, releases } = told();
		fakeWorker({
			tokens: words(8),
			every: 20,
			faults: { 1: { break: true, after: 3 } },
		});
		const job = await startedJob();
		await events(job);
		const { id } = job.account;
		const ask = { model: "nano", account: id, job: `${id}/${job.id}` };
		expect(asks()).toEqual([
			{ ...ask, resumed: false, tokens: 300, avoid: null },
			{ ...ask, resumed: true, tokens: 297, avoid: "http://nano.test" },
		]);
		await eventually(() =>
			expect(releases()).toEqual([
				["failed", null],
				[
					"finished",
					{
						firstTokenMs: expect.any(Number),
						tokens: 5,
						ms: expect.any(Number),
					},
				],
			]),
		);
		const { firstTokenMs, ms } = (releases()[1] as [string, AttemptTimes])[1];
		expect(firstTokenMs).toBeGreaterThanOrEqual(15);
		expect(ms).toBeGreaterThanOrEqual(80);
		expect(firstTokenMs).toBeLessThan(ms);
	});

	it.each([
		["image_undecodable", "finished"],
		["engine_failed", "failed"],
		["draining", "down"],
	] as const)("hears after %s that the worker is: %s", async (error, why) => {
		const { releases } = told();
		fakeWorker({ tokens: words(2), faults: { 1: { error } } });
		await events(await startedJob());
		expect(releases()[0]).toEqual([why, null]);
	});
});

describe("a worker that is not served any more", () => {
	it("is given up for another, like one that went away", async () => {
		fakeWorker({ tokens: words(3) });
		const acquire = vi.spyOn(Pool.prototype, "acquire");
		const real = Pool.prototype.acquire;
		acquire.mockImplementationOnce(async function (this: Pool, ask) {
			const acquired = await real.call(this, ask);
			if (acquired.answer !== "granted") throw new Error("no slot");
			const lease = { ...acquired.lease, url: "http://gone.test" };
			return { answer: "granted", lease };
		});
		const seen = await events(await startedJob());
		expect(textOf(seen)).toBe(words(3).join(""));
		expect(seen.find(({ type }) => type === "job.retrying")?.data).toEqual({
			attempt: 2,
			reason: "unreachable",
		});
	});
});

describe("a poison job", () => {
	it("fails alone, at price 0, after so many attempts; the others finish", async () => {
		const faults = Object.fromEntries(
			Array.from({ length: 20 }, (_, n) => [n + 1, { break: true, after: 0 }]),
		) as Record<number, { break: true; after: number }>;
		const worker = fakeWorker((prompt) =>
			prompt === "poison"
				? { tokens: words(3), faults }
				: { tokens: words(3), every: 20 },
		);
		worker.slots = 2;
		const account = await newAccount(1_000_000);
		const poison = await startedJob({ prompt: "poison" }, account);
		const others = await Promise.all(
			Array.from({ length: 6 }, () => startedJob({}, account)),
		);
		for (const other of others) {
			const seen = await events(other);
			expect(textOf(seen)).toBe(words(3).join(""));
		}
		let ahead = 0;
		await eventually(
			async () => {
				ahead += 60_000;
				await runInDurableObject(poison.stub(), (object: Job) => {
					object.clock = () => Date.now() + ahead;
				});
				await runDurableObjectAlarm(poison.stub());
				expect((await poison.stub().view())?.finishedAt).not.toBe(null);
			},
			{ timeout: 60_000, interval: 50 },
		);
		expect((await events(poison)).at(-2)?.data).toMatchObject({
			status: "failed",
			price: 0,
			error: { code: "backend_failed" },
		});
		const tries = worker.requests.filter(({ request_id }) =>
			request_id.startsWith(poison.id),
		);
		expect(tries).toHaveLength(MAX_FAILURES);
		expect(await money(account)).toEqual({ available: 994_000, held: 0 });
	}, 70_000);
});
