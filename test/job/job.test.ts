import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { describe, expect, it, vi } from "vitest";
import type { ZodObject } from "zod";
import { sha256 } from "../../src/crypto.ts";
import type { Job } from "../../src/job/job.ts";
import { MAX_FAILURES } from "../../src/job/state.ts";
import {
	DoneEvent,
	StateEvent,
	TokenEvent,
	UsageEvent,
} from "../../src/schema/event.ts";
import { newAccount } from "../support/account.ts";
import { eventually } from "../support/eventually.ts";
import { FIRST_ID } from "../support/fake-worker.ts";
import {
	admittedJob,
	events,
	fakeWorker,
	gate,
	left,
	money,
	paid,
	startedJob,
	textOf,
	types,
	words,
} from "../support/jobs.ts";

const SCHEMAS: Record<string, ZodObject> = {
	token: TokenEvent,
	usage: UsageEvent,
	done: DoneEvent,
};

/** Fires the job's alarms ahead of time until it ends, so that no test waits for a backoff. */
async function hurry(job: Awaited<ReturnType<typeof startedJob>>) {
	let ahead = 0;
	await eventually(
		async () => {
			ahead += 60_000;
			await runInDurableObject(job.stub(), (object: Job) => {
				object.clock = () => Date.now() + ahead;
			});
			await runDurableObjectAlarm(job.stub());
			expect((await job.stub().view())?.finishedAt).not.toBe(null);
		},
		{ interval: 30 },
	);
}

describe("a job", () => {
	it("logs its states, tokens, usage and end, and `done` to check them by", async () => {
		const worker = fakeWorker({ tokens: ["A", " cat", "…"], every: 40 });
		const job = await startedJob();
		const seen = await events(job);
		expect(types(seen)).toEqual([
			"job.queued",
			"job.running",
			"token",
			"usage",
			"job.succeeded",
			"done",
		]);
		expect(seen.map(({ seq }) => seq)).toEqual(seen.map((_, n) => n + 1));
		for (const { type, data } of seen) {
			const schema = type.startsWith("job.") ? StateEvent : SCHEMAS[type];
			expect(schema?.strict().parse(data)).toEqual(data);
		}
		expect(seen[0]?.data).toEqual({ id: job.id, status: "queued" });
		expect(textOf(seen)).toBe("A cat…");
		const [usage, ended, done] = seen.slice(-3).map(({ data }) => data);
		expect(usage).toEqual({ images: 0, prompt_tokens: 13, output_tokens: 3 });
		expect(ended).toEqual({
			id: job.id,
			status: "succeeded",
			...paid(3),
			finish_reason: "stop",
		});
		expect(done).toEqual({
			last_seq: seen.at(-1)?.seq,
			tokens: 3,
			bytes: 8,
			sha256: await sha256("A cat…"),
		});
		expect(await job.stub().view()).toMatchObject({
			status: "succeeded",
			text: "A cat…",
			sha256: done.sha256,
			lastSeq: done.last_seq,
			price: 16,
		});
		expect(worker.requests[0]).toMatchObject({
			request_id: `${job.id}-1`,
			max_tokens: 300,
			seed: 7,
			cache_salt: job.spec.cacheSalt,
		});
	});

	it("started twice runs once", async () => {
		const worker = fakeWorker({ tokens: words(5), every: 5 });
		const job = await startedJob();
		await job.stub().start(job.spec);
		await events(job);
		const again = await job.stub().start(job.spec);
		expect(again).toMatchObject({ ok: true, view: { status: "succeeded" } });
		expect(worker.requests).toHaveLength(1);
		expect(await money(job.account)).toEqual(left(5));
	});

	it("makes three calls and four writes of its own, and one more write per batch", async () => {
		fakeWorker({ tokens: words(40) });
		const lines: { event: string; rpcs: number; writes: number }[] = [];
		vi.spyOn(console, "log").mockImplementation((line) => {
			lines.push(JSON.parse(line));
		});
		const job = await startedJob();
		const seen = await events(job);
		const batches = seen.filter(({ type }) => type === "token").length;
		// acquire, release, settle; admission and start are the Worker's two.
		// claim, running, settling, settled, and one per batch but the last, which goes with settling.
		expect(lines.find(({ event }) => event === "job")).toMatchObject({
			rpcs: 3,
			writes: 4 + batches - 1,
		});
		expect(batches).toBeLessThanOrEqual(3);
	});

	it("waits as `provisioning` while no worker is up, and runs when one is", async () => {
		const worker = fakeWorker({ tokens: ["hi"] });
		worker.state = "away";
		const job = await startedJob();
		await events(job, 0, ({ type }) => type === "job.provisioning");
		expect(await job.stub().view()).toMatchObject({ status: "provisioning" });
		worker.state = "ready";
		expect(types(await events(job))).toEqual([
			"job.queued",
			"job.provisioning",
			"job.running",
			"token",
			"usage",
			"job.succeeded",
			"done",
		]);
	});

	it("runs no more at once than the worker has slots", async () => {
		const worker = fakeWorker({ tokens: words(4), every: 20 });
		worker.slots = 2;
		const account = await newAccount(1_000_000);
		const jobs = await Promise.all(
			Array.from({ length: 7 }, () => startedJob({}, account)),
		);
		const seen = await Promise.all(jobs.map((job) => events(job)));
		for (const each of seen) expect(textOf(each)).toBe(words(4).join(""));
		expect(worker.peak).toBeLessThanOrEqual(2);
	});

	it("sends each image under a key of tenant and weights, with a URL per attempt", async () => {
		const worker = fakeWorker({
			tokens: words(4),
			every: 30,
			faults: { 1: { break: true, after: 2 } },
		});
		const image = {
			upload: "img_01JD8Z6Q3V9Y4K2M7N5P8R1S3T",
			key: "a/b",
			sha256: "0".repeat(64),
			contentType: "image/png",
			bytes: 9,
			width: 9,
			height: 9,
			cacheId: "c".repeat(64),
		};
		const job = await startedJob({ images: [image] });
		const seen = await events(job);
		expect(seen.at(-3)?.data).toMatchObject({ images: 1, prompt_tokens: 20 });
		expect(worker.requests).toHaveLength(2);
		for (const { images } of worker.requests) {
			expect(images[0]?.id).toBe(`${image.cacheId}.${worker.digest}`);
			expect(images[0]?.url).toMatch(
				/^http:\/\/s3\.test\/.*a\/b\?.*Signature=/,
			);
		}
	});

	it("does not start after its tombstone", async () => {
		fakeWorker({ tokens: ["x"] });
		const job = await admittedJob();
		expect(await job.stub().resolve()).toEqual({ status: "void" });
		expect(await job.stub().start(job.spec)).toEqual({
			ok: false,
			failure: { code: "job_gone" },
		});
		expect(await job.stub().view()).toBe(null);
	});

	it("that is only viewed stores nothing", async () => {
		const job = await admittedJob();
		expect(await job.stub().view()).toBe(null);
		const tables = await runInDurableObject(job.stub(), (_, { storage }) =>
			storage.sql
				.exec("SELECT name FROM sqlite_master WHERE name IN ('job', 'event')")
				.toArray(),
		);
		expect(tables).toEqual([]);
	});

	it("answers the Account: running until later, then its outcome", async () => {
		const { opened, open } = gate();
		fakeWorker({
			tokens: words(3),
			gate: (n) => (n === 2 ? opened : undefined),
		});
		const job = await startedJob();
		await events(job, 0, ({ type }) => type === "token");
		const running = await job.stub().resolve();
		expect(running).toMatchObject({ status: "running" });
		open();
		await events(job);
		expect(await job.stub().resolve()).toEqual({
			status: "finished",
			outcome: {
				jobId: job.id,
				status: "succeeded",
				price: paid(3).price,
				parts: paid(3).price_parts,
			},
		});
	});
});

describe("the end of an answer", () => {
	it("is `length` at max_tokens, over all attempts", async () => {
		const worker = fakeWorker({
			tokens: words(20),
			every: 10,
			faults: { 1: { break: true, after: 3 } },
		});
		const job = await startedJob({ sampling: { max_tokens: 5 } });
		const seen = await events(job);
		expect(textOf(seen)).toBe(words(5).join(""));
		expect(seen.at(-2)?.data.finish_reason).toBe("length");
		expect(seen.at(-1)?.data.tokens).toBe(5);
		const [, second] = worker.requests;
		expect(second?.committed_token_ids).toHaveLength(
			5 - (second?.max_tokens ?? 0),
		);
	});

	it("comes before a stop string, also one that spans tokens and attempts", async () => {
		for (const after of [1, 2, 3, 4, 5]) {
			const worker = fakeWorker({
				tokens: ["one", " #", "#", "#", " two", " ###", " three"],
				every: 10,
				faults: { 1: { break: true, after } },
			});
			const job = await startedJob({ sampling: { stop: ["## t", "###"] } });
			const seen = await events(job);
			expect(textOf(seen)).toBe("one ");
			expect(seen.at(-2)?.data.finish_reason).toBe("stop");
			await eventually(() => expect(worker.running).toBe(0));
		}
	});

	it("shows withheld text that turns out to be no stop string", async () => {
		fakeWorker({ tokens: ["a#", "#", " b#", "#"], every: 40 });
		const seen = await events(
			await startedJob({ sampling: { stop: ["###"] } }),
		);
		expect(textOf(seen)).toBe("a## b##");
		expect(seen.at(-1)?.data.tokens).toBe(4);
	});

	it("keeps every character whole, with the worker's bytes cut anywhere", async () => {
		const worker = fakeWorker({
			tokens: ["naïve", " 日本", "", " 👩‍👩‍👧", " ok"],
			every: 5,
			faults: { 1: { break: true, after: 2 } },
		});
		worker.chunk = 3;
		const seen = await events(await startedJob());
		expect(textOf(seen)).toBe("naïve 日本 👩‍👩‍👧 ok");
		expect(seen.at(-1)?.data.bytes).toBe(
			new TextEncoder().encode(textOf(seen)).length,
		);
	});
});

describe("a failing backend", () => {
	it.each([
		[{ break: true, after: 3 } as const, "broken_stream"],
		[{ error: "engine_failed", after: 3 } as const, "engine_failed"],
		[{ break: true } as const, "unreachable"],
		[{ error: "image_unavailable" } as const, "image_unavailable"],
		[{ error: "overloaded" } as const, "overloaded"],
		[{ error: "draining" } as const, "draining"],
	])("%o is retried as %s, and the answer is whole", async (fault, reason) => {
		const worker = fakeWorker({
			tokens: words(8),
			every: 5,
			faults: { 1: fault, 2: fault },
		});
		const job = await startedJob();
		const seen = await events(job);
		expect(textOf(seen)).toBe(words(8).join(""));
		const retries = seen.filter(({ type }) => type === "job.retrying");
		expect(retries.map(({ data }) => data)).toEqual([
			{ attempt: 2, reason },
			{ attempt: 3, reason },
		]);
		expect(await money(job.account)).toEqual(left(8));
		expect(worker.requests).toHaveLength(3);
		if ("after" in fault) {
			expect(worker.requests[1]).toMatchObject({
				prompt_token_ids: expect.any(Array),
				committed_token_ids: [0, 1, 2].map((n) => FIRST_ID + n),
			});
			expect(worker.requests[1]).not.toHaveProperty("messages");
		}
	});

	it("with sampling continues from another seed, unless no token was shown", async () => {
		const worker = fakeWorker({
			tokens: words(6),
			every: 5,
			faults: { 1: { break: true }, 2: { break: true, after: 2 } },
		});
		await events(await startedJob({ sampling: { temperature: 1 } }));
		const [first, second, third] = worker.requests.map(({ seed }) => seed);
		expect([first, second]).toEqual([7, 7]);
		expect(third).not.toBe(7);
	});

	it("that never recovers fails the job at price 0, and frees the money", async () => {
		const faults = Object.fromEntries(
			Array.from({ length: 20 }, (_, n) => [
				n + 1,
				{ error: "engine_failed" } as const,
			]),
		);
		const worker = fakeWorker({ tokens: words(3), faults });
		const job = await startedJob();
		await hurry(job);
		const seen = await events(job);
		expect(worker.requests).toHaveLength(MAX_FAILURES);
		expect(seen.slice(-3).map(({ type }) => type)).toEqual([
			"usage",
			"job.failed",
			"done",
		]);
		expect(seen.at(-2)?.data).toMatchObject({
			status: "failed",
			price: 0,
			error: { code: "backend_failed" },
		});
		expect(await money(job.account)).toEqual({ available: 1_000_000, held: 0 });
	});

	it.each([
		["image_undecodable", "images[0]"],
		["context_length_exceeded", undefined],
		["invalid_request", "temperature"],
	] as const)(
		"%s is the fault of the request: no retry, price 0",
		async (error, field) => {
			const worker = fakeWorker({
				tokens: [],
				faults: { 1: { error, ...(field && { field }) } },
			});
			const job = await startedJob();
			const seen = await events(job);
			expect(worker.requests).toHaveLength(1);
			expect(seen.at(-2)?.data).toMatchObject({
				status: "failed",
				price: 0,
				error: { code: error, ...(field && { field }) },
			});
			expect(seen.at(-2)?.data.error.message).toMatch(/\w/);
			expect(await money(job.account)).toEqual({
				available: 1_000_000,
				held: 0,
			});
		},
	);

	it("that finds the context full after some tokens has completed the answer", async () => {
		fakeWorker({
			tokens: words(9),
			every: 5,
			faults: {
				1: { break: true, after: 4 },
				2: { error: "context_length_exceeded" },
			},
		});
		const seen = await events(await startedJob());
		expect(textOf(seen)).toBe(words(4).join(""));
		expect(seen.at(-2)?.data).toMatchObject({
			status: "succeeded",
			finish_reason: "length",
		});
	});
});
