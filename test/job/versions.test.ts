/** Jobs in databases that earlier versions of the object wrote. */
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { migrate, versionOf } from "../../src/durable/migrate.ts";
import { STEPS } from "../../src/job/schema.ts";
import { initialState } from "../../src/job/state.ts";
import { FIRST_ID } from "../support/fake-worker.ts";
import {
	admittedJob,
	events,
	fakeWorker,
	money,
	type TestJob,
	textOf,
	words,
} from "../support/jobs.ts";

/** What version 1 kept of a job's spec and state. */
const SPEC = [
	"account",
	"id",
	"model",
	"images",
	"sampling",
	"metadata",
	"cacheSalt",
	"createdAt",
] as const;
const RUNNING = {
	phase: "running",
	status: "running",
	attempts: 1,
	failures: 0,
	tokensBefore: 0,
	lease: { epoch: 1, url: "http://nano.test", digest: "d", running: 1 },
	retryAt: null,
	startedAt: Date.now(),
	finishedAt: null,
	outcome: null,
	finishReason: null,
	error: null,
	promptTokens: 13,
	settlement: null,
};
const PROMPT = Array.from("What is this?", (c) => 1000 + c.charCodeAt(0));
const token = (seq: number, text: string, ids: number[]) =>
	[seq, "token", JSON.stringify({ text }), JSON.stringify(ids), ""] as const;

/** Writes the tables as version 1 did, and lets the object go. */
async function writtenByVersion1(
	job: TestJob,
	state: object,
	log: readonly (readonly (string | number | null)[])[],
): Promise<void> {
	await runInDurableObject(job.stub(), async (_, { storage }) => {
		const { sql } = storage;
		storage.transactionSync(() => {
			migrate(sql, STEPS.slice(0, 1));
			sql.exec(
				"INSERT INTO job (spec, state, prompt_ids) VALUES (?, ?, ?)",
				JSON.stringify({
					...Object.fromEntries(SPEC.map((field) => [field, job.spec[field]])),
					prompt: "What is this?",
				}),
				JSON.stringify(state),
				JSON.stringify(PROMPT),
			);
			for (const row of log)
				sql.exec("INSERT INTO event VALUES (?, ?, ?, ?, ?)", ...row);
		});
		await storage.sync();
	});
	await runInDurableObject(job.stub(), (_, state) =>
		state.abort("an old instance goes"),
	).catch(() => {});
}

const LOG = [
	[1, "job.queued", '{"id":"x","status":"queued"}', null, null],
	[2, "job.running", '{"id":"x","status":"running"}', null, null],
	token(3, words(2).join(""), [FIRST_ID, FIRST_ID + 1]),
	token(4, " word2", [FIRST_ID + 2]),
] as const;

const version = (job: TestJob) =>
	runInDurableObject(job.stub(), (_, { storage }) => versionOf(storage.sql));

/** A job that version 2 admitted and had not begun, its question one text beside the images. */
async function writtenByVersion2(job: TestJob): Promise<void> {
	await runInDurableObject(job.stub(), async (_, { storage }) => {
		const { messages: _messages, ...spec } = job.spec;
		const state = initialState(job.spec, Date.now());
		storage.transactionSync(() => {
			migrate(storage.sql, STEPS.slice(0, 2));
			storage.sql.exec(
				"INSERT INTO job (spec, state) VALUES (?, ?)",
				JSON.stringify({ ...spec, prompt: "What is this?" }),
				JSON.stringify(state),
			);
			storage.sql.exec(
				"INSERT INTO event VALUES (?, ?, ?, ?, ?)",
				...(LOG[0] ?? []),
			);
		});
		await storage.sync();
	});
	await runInDurableObject(job.stub(), (_, state) =>
		state.abort("an old instance goes"),
	).catch(() => {});
}

describe("a job of version 2", () => {
	it("asks what it was to ask, its images first, and can be gone on from", async () => {
		const worker = fakeWorker({ tokens: words(2) });
		const image = {
			...{ upload: "img_1", key: "images/1", sha256: "a", bytes: 9 },
			...{ contentType: "image/png", width: 8, height: 8, cacheId: "b" },
		};
		const job = await admittedJob({ images: [image, image] });
		await writtenByVersion2(job);
		expect(await job.stub().view()).toMatchObject({ status: "queued" });
		expect(textOf(await events(job))).toBe(words(2).join(""));
		const messages = [
			{
				role: "user",
				content: [
					{ type: "image" },
					{ type: "image" },
					{ type: "text", text: "What is this?" },
				],
			},
		];
		expect(worker.requests[0]?.messages).toEqual(messages);
		expect(await job.stub().transcript()).toEqual({
			messages,
			answer: words(2).join(""),
		});
		expect(await version(job)).toBe(STEPS.length);
	});
});

describe("a job of version 4", () => {
	it.each([
		["that was being read", null, null],
		["whose reader was lost", 1_000, 11_000],
	])("%s is abandoned when it was to be", async (_, leftAt, abandonedAt) => {
		const job = await admittedJob({ onDisconnect: "cancel" });
		const state = await runInDurableObject(job.stub(), (_, { storage }) => {
			const { sql } = storage;
			migrate(sql, STEPS.slice(0, 4));
			const { abandonedAt, ...state } = initialState(job.spec, Date.now());
			sql.exec(
				"INSERT INTO job (spec, state) VALUES (?, ?)",
				JSON.stringify(job.spec),
				JSON.stringify({ ...state, watched: true, leftAt }),
			);
			storage.transactionSync(() => migrate(sql, STEPS));
			return JSON.parse(
				sql.exec<{ state: string }>("SELECT state FROM job").one().state,
			);
		});
		expect(state).toMatchObject({ watched: true, abandonedAt });
		expect(state).not.toHaveProperty("leftAt");
	});
});

describe("a job of version 1", () => {
	it("that was running goes on from its tokens, with no deadline it was never given", async () => {
		const worker = fakeWorker({ tokens: words(6) });
		const job = await admittedJob();
		await writtenByVersion1(job, RUNNING, LOG);
		await runDurableObjectAlarm(job.stub());
		const seen = await events(job);
		expect(textOf(seen)).toBe(words(6).join(""));
		expect(seen.slice(0, 4).map(({ seq, type }) => [seq, type])).toEqual(
			LOG.map(([seq, type]) => [seq, type]),
		);
		expect(worker.requests[0]).toMatchObject({
			prompt_token_ids: PROMPT,
			committed_token_ids: [0, 1, 2].map((n) => FIRST_ID + n),
		});
		expect(await version(job)).toBe(STEPS.length);
		expect(await money(job.account)).toEqual({ available: 999_000, held: 0 });
	});

	it("that was running and had shown nothing begins anew", async () => {
		const worker = fakeWorker({ tokens: words(2) });
		const job = await admittedJob();
		await writtenByVersion1(job, RUNNING, LOG.slice(0, 2));
		await runDurableObjectAlarm(job.stub());
		expect(textOf(await events(job))).toBe(words(2).join(""));
		expect(worker.requests).toHaveLength(1);
	});

	it("that was being settled is settled", async () => {
		const worker = fakeWorker({ tokens: [] });
		const job = await admittedJob();
		await writtenByVersion1(
			job,
			{
				...RUNNING,
				phase: "settling",
				lease: null,
				outcome: "succeeded",
				finishReason: "stop",
				finishedAt: Date.now(),
			},
			LOG,
		);
		expect((await events(job)).at(-2)?.data).toMatchObject({
			status: "succeeded",
			price: 1000,
		});
		expect(worker.requests).toHaveLength(0);
	});

	it("that is finished reads the same from any event on, and can be erased", async () => {
		fakeWorker({ tokens: [] });
		const job = await admittedJob();
		const log = [
			...LOG,
			[5, "usage", '{"images":0}', null, null],
			[6, "job.succeeded", '{"id":"x","status":"succeeded"}', null, null],
			[7, "done", '{"last_seq":7,"tokens":3}', null, null],
		] as const;
		await writtenByVersion1(
			job,
			{
				...RUNNING,
				phase: "finished",
				status: "succeeded",
				lease: null,
				outcome: "succeeded",
				finishReason: "stop",
				finishedAt: Date.now(),
				settlement: { price: 1000, balance: 0, settledAt: "" },
			},
			log,
		);
		for (let after = 0; after < log.length; after++)
			expect(
				(await events(job, after)).map(({ seq, type, data }) => [
					seq,
					type,
					JSON.stringify(data),
				]),
			).toEqual(log.slice(after).map((row) => row.slice(0, 3)));
		expect(await job.stub().view()).toMatchObject({
			status: "succeeded",
			text: words(3).join(""),
			outputTokens: 3,
			price: 1000,
			queue: null,
		});
		expect(await job.stub().erase()).toBe("erased");
	});

	it("that was a tombstone stays one", async () => {
		const job = await admittedJob();
		await runInDurableObject(job.stub(), (_, { storage }) =>
			storage.transactionSync(() => {
				migrate(storage.sql, STEPS.slice(0, 1));
				storage.sql.exec("INSERT INTO job (spec, state) VALUES (NULL, NULL)");
			}),
		);
		await runInDurableObject(job.stub(), (_, state) =>
			state.abort("an old instance goes"),
		).catch(() => {});
		expect((await job.stub().start(job.spec)).ok).toBe(false);
		expect(await job.stub().resolve()).toEqual({ answer: "void" });
		expect(await version(job)).toBe(STEPS.length);
	});
});
