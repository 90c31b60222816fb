/** What a call may cost, and what it did cost: at admission, in every answer, under a cap. */
import { runInDurableObject } from "cloudflare:test";
import { describe, expect, it, vi } from "vitest";
import { Job } from "../../src/job/job.ts";
import { newAccount, type TestAccount } from "../support/account.ts";
import { call, create, ended, HOLD, PNG, type Wire } from "../support/calls.ts";
import { edge } from "../support/edge.ts";
import { fakeWorker, gate, money, read, words } from "../support/jobs.ts";
import { oneEach } from "../support/prices.ts";

/** Each token and each image costs one micro-USD here. */
const CREDIT = 10_000;
const wait = { Prefer: "wait=10" };
const paid = (output_tokens: number) =>
	oneEach({ prompt_tokens: 20, output_tokens, images: 1 });

const complete = (account: TestAccount, body: object): Promise<Response> =>
	edge.fetch("http://edge.test/v1/chat/completions", {
		method: "POST",
		headers: {
			"Content-Type": "application/json",
			Authorization: `Bearer ${account.key}`,
		},
		body: JSON.stringify({
			model: "nano",
			messages: [{ role: "user", content: "What is this?" }],
			...body,
		}),
	});

describe("admission", () => {
	it("refuses a continuation that is too long for its length, not for its price", async () => {
		fakeWorker({ tokens: words(3) });
		const account = await newAccount(CREDIT);
		const { id } = await (await create(account)).json<Wire>();
		await ended(account, id);
		const body = { previous_job: id, prompt: "a b c d e f g h ".repeat(1_000) };
		for (const model of [{}, { model: "nano" }]) {
			const refused = await call(account, "", { body: { ...body, ...model } });
			expect(refused.status).toBe(400);
			expect((await refused.json<Wire>()).code).toBe("context_length_exceeded");
		}
	});

	it("holds the price of the longest prompt and answer, and gives back the rest", async () => {
		const { opened, open } = gate();
		fakeWorker({ tokens: words(3), gate: () => opened });
		const account = await newAccount(CREDIT);
		const { id } = await (await create(account)).json<Wire>();
		expect(await money(account)).toEqual({
			available: CREDIT - HOLD,
			held: HOLD,
		});
		open();
		expect(await ended(account, id)).toMatchObject(paid(3));
		expect(await money(account)).toEqual({
			available: CREDIT - paid(3).price,
			held: 0,
		});
	});

	it("holds no more than `max_price`", async () => {
		const { opened, open } = gate();
		fakeWorker({ tokens: words(3), gate: () => opened });
		const account = await newAccount(100);
		const { id } = await (
			await create(account, { max_price: 90 })
		).json<Wire>();
		expect(await money(account)).toEqual({ available: 10, held: 90 });
		open();
		await ended(account, id);
	});

	it("refuses a call that cannot be paid, and says what is missing and what to do", async () => {
		const account = await newAccount(100);
		const refused = await create(account);
		expect(refused.status).toBe(402);
		expect(await refused.json()).toMatchObject({
			code: "insufficient_credit",
			available: 100,
			price: HOLD,
			missing: HOLD - 100,
			detail: expect.stringMatching(/ 1413 is missing.*`max_price`/),
		});
		expect(await money(account)).toEqual({ available: 100, held: 0 });
	});

	it("refuses a `max_price` that pays no prompt of this text and one token", async () => {
		fakeWorker({ tokens: words(3) });
		const account = await newAccount(CREDIT);
		// 8 tokens of the image, at least 4 of the text, the image, and one token.
		for (const max_price of [0, 13]) {
			const refused = await create(account, { max_price });
			expect(refused.status).toBe(400);
			expect(await refused.json()).toMatchObject({
				code: "max_price_too_low",
				field: "max_price",
				max_price,
				least: 14,
			});
		}
		expect(await money(account)).toEqual({ available: CREDIT, held: 0 });
		const tight = await create(account, { max_price: 14 }, wait);
		// Only the worker knows that the prompt has 20 tokens.
		expect(await tight.json()).toMatchObject({
			status: "failed",
			price: 0,
			price_parts: [],
			error: {
				code: "max_price_too_low",
				field: "max_price",
				message: expect.stringContaining("needs at least 22"),
			},
		});
	});

	it.each([-1, 0.5, "5", 2 ** 53])(
		"refuses a `max_price` of %o",
		async (max_price) => {
			const account = await newAccount(CREDIT);
			const refused = await create(account, { max_price });
			expect(refused.status).toBe(400);
			expect(await refused.json()).toMatchObject({
				code: "invalid_request",
				field: "max_price",
			});
		},
	);

	it("fixes the prices, also of a job that starts only later", async () => {
		fakeWorker({ tokens: words(3) });
		const account = await newAccount(CREDIT);
		vi.spyOn(Job.prototype, "start").mockImplementationOnce(() => {
			throw new Error("the edge died here");
		});
		const named = { "Idempotency-Key": "one", ...wait };
		expect((await create(account, {}, named)).status).toBe(500);
		// Meanwhile the table changed: this one is dearer than what the job has.
		const rates = { prompt_tokens: 0, output_tokens: 2_000_000, images: 0 };
		await runInDurableObject(account.stub, (_, { storage }) => {
			const prices = JSON.stringify({ version: "before", rates });
			storage.sql.exec("UPDATE job SET prices = ?", prices);
		});
		const job = await (await create(account, {}, named)).json<Wire>();
		expect(job).toMatchObject({ price: 6, price_version: "before" });
	});

	it("takes another `max_price` under a name for another request", async () => {
		fakeWorker({ tokens: words(3) });
		const account = await newAccount(CREDIT);
		const named = { "Idempotency-Key": "one" };
		await create(account, { max_price: 90 }, named);
		const other = await create(account, { max_price: 91 }, named);
		expect(await other.json()).toMatchObject({ code: "idempotency_conflict" });
		const same = await create(account, { max_price: 90 }, named);
		expect(same.headers.get("Idempotent-Replayed")).toBe("true");
	});
});

describe("a job that has ended", () => {
	it("shows its price and parts in the job, its last event, headers, feed and list", async () => {
		fakeWorker({ tokens: words(3) });
		const account = await newAccount(CREDIT);
		const answer = await create(account, {}, wait);
		const job = await answer.json<Wire>();
		expect(job).toMatchObject({
			...paid(3),
			price_version: "test",
			usage: { images: 1, prompt_tokens: 20, output_tokens: 3 },
		});
		expect(answer.headers.get("X-Job-Price")).toBe("24");
		expect(answer.headers.get("X-Job-Price-Parts")).toBe(
			[
				'prompt_tokens=20;rate=1000000;per=1000000;amount="20.000000"',
				'output_tokens=3;rate=1000000;per=1000000;amount="3.000000"',
				'images=1;rate=1000;per=1000;amount="1.000000"',
			].join(", "),
		);
		const log = await call(account, `/${job.id}/events`);
		const seen = await read(log.body as ReadableStream<Uint8Array>);
		expect(seen.at(-2)?.data).toMatchObject(paid(3));
		const feed = await edge.fetch("http://edge.test/v1/events", {
			headers: { Authorization: `Bearer ${account.key}` },
		});
		const { data } = await feed.json<Wire>();
		expect(data.at(-1)).toMatchObject({ type: "job.succeeded", data: paid(3) });
		const list = await (await call(account, "")).json<Wire>();
		expect(list.data[0].price).toBe(24);
	});

	it("and is not waited for has no price yet, in no header either", async () => {
		const { opened, open } = gate();
		fakeWorker({ tokens: words(3), gate: () => opened });
		const account = await newAccount(CREDIT);
		const answer = await create(account);
		const job = await answer.json<Wire>();
		expect(job).toMatchObject({ price: null, price_parts: null });
		expect(answer.headers.get("X-Job-Price")).toBe(null);
		open();
		await ended(account, job.id);
	});

	it("ends at its cap, never above, and keeps what was written", async () => {
		fakeWorker({ tokens: words(30) });
		const account = await newAccount(CREDIT);
		const answer = await create(account, { max_price: 29 }, wait);
		expect(await answer.json()).toMatchObject({
			status: "succeeded",
			output: { text: words(8).join(""), finish_reason: "budget" },
			...paid(8),
		});
	});
});

describe("a completion", () => {
	it("shows its price and parts in `usage` and in headers", async () => {
		fakeWorker({ tokens: words(3) });
		const account = await newAccount(CREDIT);
		const bill = oneEach({ prompt_tokens: 13, output_tokens: 3 });
		const answer = await complete(account, {});
		expect((await answer.json<Wire>()).usage).toEqual({
			prompt_tokens: 13,
			completion_tokens: 3,
			total_tokens: 16,
			...bill,
		});
		expect(answer.headers.get("X-Job-Price")).toBe("16");
		expect(answer.headers.get("X-Job-Price-Parts")).toContain(
			'images=0;rate=1000;per=1000;amount="0.000000"',
		);
		const streamed = await complete(account, {
			stream: true,
			stream_options: { include_usage: true },
		});
		const text = await streamed.text();
		expect(text).toContain(`"total_tokens":16,"price":16,"price_parts":[{`);
	});

	it("takes `max_price`, and ends there as one that was cut; its job says `budget`", async () => {
		fakeWorker({ tokens: words(30) });
		const account = await newAccount(CREDIT);
		const answer = await complete(account, { max_price: 18 });
		const id = answer.headers.get("X-Job-Id") as string;
		const { choices, usage } = await answer.json<Wire>();
		expect(choices[0]).toMatchObject({
			finish_reason: "length",
			message: { content: words(5).join("") },
		});
		expect(usage.price).toBe(18);
		expect((await ended(account, id)).output.finish_reason).toBe("budget");
	});

	it("whose `max_price` proves too low is refused in OpenAI's shape", async () => {
		fakeWorker({ tokens: words(3) });
		const account = await newAccount(CREDIT);
		for (const max_price of [1, 13]) {
			const answer = await complete(account, { max_price });
			expect(answer.status).toBe(400);
			expect((await answer.json<Wire>()).error).toMatchObject({
				code: "max_price_too_low",
				param: "max_price",
			});
		}
		expect(await money(account)).toEqual({ available: CREDIT, held: 0 });
	});
});

describe("a job that goes on from another", () => {
	it("pays for the whole conversation, and for all its images", async () => {
		fakeWorker({ tokens: words(3) });
		const account = await newAccount(CREDIT);
		const first = await (await create(account, {}, wait)).json<Wire>();
		const body = { previous_job: first.id, prompt: "Why?", images: [] };
		const next = await (
			await call(account, "", { body, headers: wait })
		).json<Wire>();
		const prompt = 20 + words(3).join("").length + 4;
		expect(next).toMatchObject({
			usage: { images: 1, prompt_tokens: prompt, output_tokens: 3 },
			...oneEach({ prompt_tokens: prompt, output_tokens: 3, images: 1 }),
		});
	});

	it("is refused where only the whole conversation cannot be paid", async () => {
		fakeWorker({ tokens: words(200) });
		const account = await newAccount(HOLD + 300);
		const first = await (await create(account, {}, wait)).json<Wire>();
		expect(first.status).toBe("succeeded");
		const { available } = await money(account);
		const body = {
			previous_job: first.id,
			images: [{ url: PNG }],
			prompt: "Why?",
		};
		const refused = await call(account, "", { body });
		const { code, price, missing } = await refused.json<Wire>();
		expect([code, price - missing]).toEqual(["insufficient_credit", available]);
	});
});
