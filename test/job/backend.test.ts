/**
 * A job on both kinds of backend: one that can continue from committed ids, and one that cannot.
 */
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
	paid,
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

/** Plays a script for each attempt, which fails at `BREAK`. */
class ScriptedBackend implements Backend {
	readonly continues = false;
	readonly generations: Generation[] = [];
	readonly #script: (BackendEvent | "BREAK")[][];

	constructor(...script: (BackendEvent | "BREAK")[][]) {
		this.#script = script;
	}

	async *generate(generation: Generation): AsyncGenerator<BackendEvent> {
		this.generations.push(generation);
		for (const event of this.#script[this.generations.length - 1] ?? [])
			if (event === "BREAK")
				throw new BackendError("broken_stream", "scripted");
			else yield event;
	}
}

/** Runs a job on that backend. The Pool leases a slot of the fake worker, which gets no request. */
async function runOn(
	backend: Backend,
): Promise<{ job: TestJob; seen: Read[] }> {
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
	it("starts again if no token was shown, and its tokens are counted", async () => {
		const backend = new ScriptedBackend(
			["BREAK"],
			[
				token("one"),
				token(" two"),
				{ type: "prompt", ids: [], tokens: 9 },
				DONE,
			],
		);
		const { job, seen } = await runOn(backend);
		expect(textOf(seen)).toBe("one two");
		expect(seen.at(-3)?.data).toEqual({
			images: 0,
			prompt_tokens: 9,
			output_tokens: 2,
		});
		expect(backend.generations).toHaveLength(2);
		expect(backend.generations[1]?.prompt).toHaveProperty("messages");
		expect(await money(job.account)).toEqual({ available: 999_989, held: 0 });
	});

	it("fails the job at price 0 if a token was shown: no answer continues it", async () => {
		const backend = new ScriptedBackend(
			[token("one"), "BREAK"],
			[token("other"), DONE],
		);
		const { job, seen } = await runOn(backend);
		expect(textOf(seen)).toBe("one");
		expect(seen.at(-2)?.data).toMatchObject({
			status: "failed",
			price: 0,
			error: { code: "backend_failed" },
		});
		expect(backend.generations).toHaveLength(1);
		expect(await money(job.account)).toEqual({ available: 1_000_000, held: 0 });
	});

	it("resumes its run after the last token that it sent", async () => {
		const backend = new ScriptedBackend(
			[{ type: "begun", run: "run-1" }, token("one"), token(" tw")],
			[token("o"), DONE],
		);
		// The attempt ends, and its run continues.
		const worker = fakeWorker({ tokens: [] });
		const job = await admittedJob();
		await runInDurableObject(job.stub(), (object: Job) => {
			object.backend = () => ({
				continues: false,
				async *generate(generation, signal) {
					yield* backend.generate(generation);
					if (backend.generations.length > 1) return;
					await new Promise((_, reject) =>
						signal.addEventListener("abort", () => reject(signal.reason)),
					);
				},
			});
			object.longestAttempt = 200;
		});
		await job.stub().start(job.spec);
		expect(textOf(await events(job))).toBe("one two");
		expect(backend.generations.map(({ resume }) => resume)).toEqual([
			null,
			{ run: "run-1", text: "one tw", tokens: 2 },
		]);
		expect(worker.requests).toHaveLength(0);
	});
});

describe("the pool", () => {
	const spyOnPool = () => {
		const acquire = vi.spyOn(Pool.prototype, "acquire");
		const release = vi.spyOn(Pool.prototype, "release");
		return {
			requests: () => acquire.mock.calls.map(([request]) => request),
			releases: () => release.mock.calls.map((args) => args.slice(2)),
		};
	};

	it("gets a request to avoid the worker that failed, and the times of an answer", async () => {
		const { requests, releases } = spyOnPool();
		fakeWorker({
			tokens: words(8),
			every: 20,
			faults: { 1: { break: true, after: 3 } },
		});
		const job = await startedJob();
		await events(job);
		const { id } = job.account;
		const request = { model: "nano", account: id, job: `${id}/${job.id}` };
		expect(requests()).toEqual([
			{ ...request, resumed: false, tokens: 300, avoid: null },
			{ ...request, resumed: true, tokens: 297, avoid: "http://nano.test" },
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
	] as const)("learns after %s that the worker is: %s", async (error, why) => {
		const { releases } = spyOnPool();
		fakeWorker({ tokens: words(2), faults: { 1: { error } } });
		await events(await startedJob());
		expect(releases()[0]).toEqual([why, null]);
	});
});

describe("a worker that the deployment removed", () => {
	it("is replaced by another, like one that is unreachable", async () => {
		fakeWorker({ tokens: words(3) });
		const acquire = vi.spyOn(Pool.prototype, "acquire");
		const real = Pool.prototype.acquire;
		acquire.mockImplementationOnce(async function (this: Pool, request) {
			const acquired = await real.call(this, request);
			if (acquired.status !== "granted") throw new Error("no slot");
			const lease = { ...acquired.lease, url: "http://gone.test" };
			return { status: "granted", lease };
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
	it("fails alone, at price 0, after its last attempt, while the others finish", async () => {
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
		expect(await money(account)).toEqual({
			available: 1_000_000 - 6 * paid(3).price,
			held: 0,
		});
	}, 70_000);
});
