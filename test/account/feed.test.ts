import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Account } from "../../src/account/account.ts";
import { EVENT_KEPT_MS } from "../../src/account/feed.ts";
import { wantsEvent } from "../../src/account/webhook-rows.ts";
import type { FeedEvent, Outcome } from "../../src/contract/account.ts";
import { EVENT_TYPES, type EventType } from "../../src/contract/event-type.ts";
import { unwrap } from "../../src/errors.ts";
import {
	admissionOf,
	dump,
	moveClock,
	newAccount,
	ringAfter,
	type TestAccount,
} from "../support/account.ts";

const ENDS = ["succeeded", "failed", "canceled", "expired"] as const;

async function admitted({ stub, ...account }: TestAccount): Promise<string> {
	const admission = admissionOf({ stub, ...account });
	unwrap(await stub.admit(admission));
	return admission.jobId;
}

const settle = (
	{ stub }: TestAccount,
	jobId: string,
	status: Outcome["status"] = "succeeded",
) => stub.settle({ jobId, status, price: 1_000, parts: [] });

const page = async (
	{ stub, credential }: TestAccount,
	after: number | null = null,
	limit = 1_000,
	types: EventType[] | null = null,
) => stub.events(credential, { after, field: "after" }, limit, types);

const events = async (account: TestAccount): Promise<FeedEvent[]> =>
	unwrap(await page(account)).events;

describe("the feed", () => {
	it("has one event for each thing that happened, as it was then", async () => {
		const account = await newAccount(10_000);
		const jobs = [];
		for (const end of ENDS) {
			const id = await admitted(account);
			for (let times = 0; times < 2; times++) await settle(account, id, end);
			jobs.push(id);
		}
		for (let times = 0; times < 2; times++)
			await account.stub.eraseJob(account.credential, jobs[0] as string);
		const told = await events(account);
		expect(told.map(({ seq, type }) => [seq, type])).toEqual([
			...ENDS.flatMap((end, n) => [
				[2 * n + 1, "job.created"],
				[2 * n + 2, `job.${end}`],
			]),
			[9, "job.deleted"],
		]);
		expect(told.slice(0, 2).map(({ data }) => data)).toMatchObject([
			{ id: jobs[0], status: "accepted", price: null, finishedAt: null },
			{
				id: jobs[0],
				status: "succeeded",
				price: 1_000,
				finishedAt: expect.any(String),
			},
		]);
	});

	it("tells of a job that never started that it expired, and no more", async () => {
		const account = await newAccount(1_000);
		await admitted(account);
		await ringAfter(account, 70_000);
		expect((await events(account)).map(({ type }) => type)).toEqual([
			"job.created",
			"job.expired",
		]);
	});

	it("has no gap and no event twice under two hundred jobs and through evictions", async () => {
		const account = await newAccount(1_000_000);
		const jobs = await Promise.all(
			Array.from({ length: 200 }, () => admitted(account)),
		);
		await Promise.all(
			jobs.flatMap((id, n) => [
				settle(account, id, ENDS[n % 4] as Outcome["status"]),
				settle(account, id, ENDS[n % 4] as Outcome["status"]),
			]),
		);
		await evictDurableObject(account.stub);
		await admitted(account);
		const told = await events(account);
		expect(told.map(({ seq }) => seq)).toEqual(
			Array.from({ length: 401 }, (_, n) => n + 1),
		);
		const ended = told.flatMap(({ type, data }) =>
			type !== "job.created" && "id" in data ? [data.id] : [],
		);
		expect(ended.sort()).toEqual(jobs.sort());
	});

	it("has nothing of a call that was refused", async () => {
		const account = await newAccount(1_000);
		await admitted(account);
		await account.stub.admit(admissionOf(account));
		expect(await events(account)).toHaveLength(1);
	});

	it("costs an account without webhooks one row for each event, and nothing due", async () => {
		const account = await newAccount(10_000);
		await runInDurableObject(account.stub, async (object: Account, state) => {
			const sql = state.storage.sql;
			const exec = sql.exec.bind(sql);
			const written: [string, number][] = [];
			sql.exec = ((...args: Parameters<typeof exec>) => {
				const cursor = exec(...args);
				if (/event|webhook|notify/.test(String(args[0]) + args[1]))
					written.push([String(args[0]), cursor.rowsWritten]);
				return cursor;
			}) as typeof exec;
			const admission = admissionOf(account);
			unwrap(await object.admit(admission));
			await object.settle({
				jobId: admission.jobId,
				status: "succeeded",
				price: 1,
				parts: [],
			});
			const inserted = written.filter(([text]) =>
				/INSERT INTO event/.test(text),
			);
			expect(inserted.map(([, rows]) => rows)).toEqual([1, 1]);
			expect(written.reduce((sum, [, rows]) => sum + rows, 0)).toBe(
				2 +
					written
						.filter(([text]) => /INTO job /.test(text))
						.reduce((sum, [, rows]) => sum + rows, 0),
			);
		});
	});

	it("goes on from any point, by pages of any size, and by type", async () => {
		const account = await newAccount(100_000);
		for (let n = 0; n < 10; n++)
			await settle(account, await admitted(account), ENDS[n % 4]);
		const all = await events(account);
		await fc.assert(
			fc.asyncProperty(
				fc.integer({ min: 0, max: 20 }),
				fc.integer({ min: 1, max: 25 }),
				fc.option(fc.uniqueArray(fc.constantFrom(...EVENT_TYPES))),
				async (start, limit, types) => {
					const read: FeedEvent[] = [];
					for (let after = start; ; ) {
						const next = unwrap(await page(account, after, limit, types));
						expect(next.events.length).toBeLessThanOrEqual(limit);
						read.push(...next.events);
						if (next.upTo >= next.lastSeq) break;
						expect(next.upTo).toBeGreaterThan(after);
						after = next.upTo;
					}
					expect(read).toEqual(
						all.filter(
							({ seq, type }) => seq > start && (types?.includes(type) ?? true),
						),
					);
				},
			),
			{ numRuns: 30 },
		);
	});

	it("keeps events for thirty days, and the newest one's number for ever", async () => {
		const account = await newAccount(100_000);
		for (let n = 0; n < 5; n++) await settle(account, await admitted(account));
		await moveClock(account.stub, EVENT_KEPT_MS + 60_000);
		const id = await admitted(account);
		expect((await events(account)).map(({ seq }) => seq)).not.toContain(1);
		for (let n = 0; n < 3; n++) await settle(account, await admitted(account));
		await settle(account, id);
		const left = await events(account);
		expect(left.map(({ seq }) => seq)).toEqual(
			Array.from({ length: 8 }, (_, n) => 11 + n),
		);
		expect(await page(account, 3)).toMatchObject({
			failure: { code: "events_gone", oldest: 11 },
		});
		expect(unwrap(await page(account, 10)).events).toEqual(left);
		expect(await page(account, 99)).toMatchObject({
			failure: { code: "invalid_request", field: "after" },
		});
		await moveClock(account.stub, 3 * EVENT_KEPT_MS);
		await admitted(account);
		expect((await events(account)).at(-1)?.seq).toBe(19);
		expect((await dump(account.stub)).event?.length).toBeLessThan(9);
	});
});

it("a webhook wants its types and never what tells of itself", () =>
	fc.assert(
		fc.property(
			fc.uniqueArray(fc.constantFrom(...EVENT_TYPES), { minLength: 1 }),
			fc.constantFrom("wh_1", "wh_2"),
			fc.constantFrom("webhook.gave_up", "webhook.disabled"),
			(types, webhook, type) => {
				const hook = { id: "wh_1", scope: "account" as const, events: types };
				const data = { webhook, reason: "gone" as const };
				const event = { type, data, webhook: null } as FeedEvent;
				expect(wantsEvent(hook, event)).toBe(
					types.includes(type) && webhook !== "wh_1",
				);
			},
		),
	));
