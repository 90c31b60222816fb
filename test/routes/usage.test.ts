import { runDurableObjectAlarm } from "cloudflare:test";
import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import {
	dump,
	moveClock,
	newAccount,
	ringAfter,
	type TestAccount,
} from "../support/account.ts";
import { create, ended, PNG, refusal, type Wire } from "../support/calls.ts";
import { edge } from "../support/edge.ts";
import { eventually } from "../support/eventually.ts";
import { fakeWorker, words } from "../support/jobs.ts";

const DAY = 86_400_000;
let account: TestAccount;

beforeEach(async () => {
	fakeWorker({ tokens: words(3) });
	account = await newAccount(1_000_000);
});

const usage = async (query: Record<string, string> = {}, key = account.key) =>
	edge.fetch(`http://edge.test/v1/usage?${new URLSearchParams(query)}`, {
		headers: { Authorization: `Bearer ${key}` },
	});
const rows = async (query: Record<string, string> = {}): Promise<Wire[]> =>
	(await (await usage(query)).json<Wire>()).data;
const run = async (more: object = {}): Promise<Wire> => {
	const { id } = await (await create(account, more)).json<Wire>();
	return ended(account, id);
};
const task = { prompt: undefined, task: "poem" };
const dayAfter = (days: number) =>
	new Date(Date.now() + days * DAY).toISOString().slice(0, 10);
const today = () => dayAfter(0);
/** Rows of days that are summed. */
const summed = async () => (await dump(account.stub)).usage?.length;

describe("what an account used", () => {
	it("is summed by day and model: jobs, tokens, images, and what they cost", async () => {
		const jobs = [
			await run(),
			await run({ images: [{ url: PNG }, { url: PNG }] }),
		];
		const sum = (of: (job: Wire) => number) =>
			jobs.reduce((total, job) => total + of(job), 0);
		expect(await rows()).toEqual([
			{
				day: today(),
				key: null,
				model: "nano",
				task: null,
				jobs: 2,
				prompt_tokens: sum(({ usage }) => usage.prompt_tokens),
				output_tokens: 6,
				images: 3,
				price: sum(({ price }) => price),
			},
		]);
	});

	it("is summed by whatever is asked for, and in one sum", async () => {
		await run();
		await run(task);
		const made = await edge.fetch("http://edge.test/v1/keys", {
			method: "POST",
			headers: {
				Authorization: `Bearer ${account.key}`,
				"Content-Type": "application/json",
			},
			body: JSON.stringify({ name: "other" }),
		});
		const { id, key } = await made.json<Wire>();
		const first = account.key;
		account = { ...account, key };
		await run(task);
		account = { ...account, key: first };
		expect(await rows({ by: "task" })).toMatchObject([
			{ task: "", jobs: 1, day: null, key: null, model: null },
			{ task: "poem", jobs: 2 },
		]);
		const byKey = await rows({ by: "key,task" });
		expect(byKey.filter((row) => row.key === id)).toMatchObject([
			{ task: "poem", jobs: 1 },
		]);
		expect(await rows({ by: "" })).toMatchObject([
			{ day: null, key: null, model: null, task: null, jobs: 3 },
		]);
	});

	it("has each job on the day on which it settled, and the days that are asked for", async () => {
		await run();
		await moveClock(account.stub, 3 * DAY);
		await run();
		const days = async (query: Record<string, string>) =>
			(await rows(query)).map((row) => row.day);
		expect(await days({ from: dayAfter(0), to: dayAfter(3) })).toEqual([
			dayAfter(0),
			dayAfter(3),
		]);
		expect(await days({ from: dayAfter(1), to: dayAfter(3) })).toEqual([
			dayAfter(3),
		]);
		expect(await days({ from: dayAfter(1), to: dayAfter(2) })).toEqual([]);
		expect(await days({})).toEqual([dayAfter(0)]);
	});

	it("keeps a job that was deleted, and one that cost nothing", async () => {
		const { id } = await run();
		const deleted = await edge.fetch(`http://edge.test/v1/jobs/${id}`, {
			method: "DELETE",
			headers: { Authorization: `Bearer ${account.key}` },
		});
		expect(deleted.status).toBe(204);
		const [before] = await rows();
		expect(before.price).toBeGreaterThan(0);
		const never = new Promise<void>(() => {});
		fakeWorker({ tokens: words(3), gate: () => never });
		const waiting = await (await create(account)).json<Wire>();
		await edge.fetch(`http://edge.test/v1/jobs/${waiting.id}/cancel`, {
			method: "POST",
			headers: { Authorization: `Bearer ${account.key}` },
		});
		expect((await ended(account, waiting.id)).price).toBe(0);
		expect(await rows()).toEqual([{ ...before, jobs: 2 }]);
	});

	it("stays as it was when its days are summed, and when their jobs expire", async () => {
		await run();
		await run(task);
		const by = { by: "day,key,model,task", to: dayAfter(300), from: today() };
		const before = await rows(by);
		expect(before).toHaveLength(2);
		await ringAfter(account, 2 * DAY);
		expect(await rows(by)).toEqual(before);
		expect(await summed()).toBe(2);
		await ringAfter(account, 400 * DAY);
		await eventually(async () =>
			expect((await dump(account.stub)).job).toEqual([]),
		);
		expect(await rows({ ...by, from: dayAfter(100) })).toEqual([]);
		expect(await rows(by)).toEqual(before);
	});

	it("adds up to what the ledger debited, whatever ran, was deleted and was summed", async () => {
		const step = fc.oneof(
			fc.record({
				max_tokens: fc.integer({ min: 1, max: 3 }),
				task: fc.option(fc.constantFrom("poem", "story")),
			}),
			fc.constantFrom("delete" as const, "next day" as const),
		);
		await fc.assert(
			fc.asyncProperty(
				fc.array(step, { minLength: 1, maxLength: 8 }),
				async (steps) => {
					account = await newAccount(1_000_000);
					const jobs: string[] = [];
					let [ran, day] = [0, 0];
					for (const step of steps) {
						const oldest = step === "delete" && jobs.shift();
						if (oldest)
							await edge.fetch(`http://edge.test/v1/jobs/${oldest}`, {
								method: "DELETE",
								headers: { Authorization: `Bearer ${account.key}` },
							});
						else if (step === "next day") {
							await moveClock(account.stub, ++day * DAY);
							await runDurableObjectAlarm(account.stub);
						} else if (typeof step === "object") {
							const { max_tokens, task } = step;
							const more = task && { prompt: undefined, task };
							jobs.push((await run({ max_tokens, ...more })).id);
							ran++;
						}
					}
					const left = await edge.fetch("http://edge.test/v1/account", {
						headers: { Authorization: `Bearer ${account.key}` },
					});
					const { balance } = await left.json<Wire>();
					const [sum] = await rows({ by: "", to: dayAfter(10) });
					expect(sum?.price ?? 0).toBe(1_000_000 - balance.available);
					expect(sum?.jobs ?? 0).toBe(ran);
				},
			),
			{ numRuns: 12 },
		);
	});

	it("names the parameter that is wrong", async () => {
		for (const [query, field] of [
			[{ by: "day,colour" }, "by"],
			[{ from: "yesterday" }, "from"],
			[{ from: "2026-12-02", to: "2026-12-01" }, "from"],
			[{ from: "2025-01-01", to: "2026-12-01" }, "from"],
		] as const)
			expect(await refusal(await usage(query))).toEqual([
				400,
				"invalid_request",
				field,
			]);
	});
});
