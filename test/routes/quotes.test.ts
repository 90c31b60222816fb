/** Quotes: what a job is going to cost, and a job that presents one. */
import { describe, expect, it } from "vitest";
import { config } from "../../src/env.ts";
import { newJobId } from "../../src/ids.ts";
import type { Quote } from "../../src/pricing/quote.ts";
import { newQuoteId, signQuote } from "../../src/quote-token.ts";
import {
	bindings,
	dump,
	moveClock,
	newAccount,
	type TestAccount,
} from "../support/account.ts";
import {
	call,
	create,
	ended,
	HOLD,
	JOB_REQUEST,
	PNG,
	refusal,
	uploaded,
	type Wire,
} from "../support/calls.ts";
import { edge } from "../support/edge.ts";
import { fakeWorker, gate, money, words } from "../support/jobs.ts";
import { ONE_EACH, oneEach } from "../support/prices.ts";

/** Each token and each image costs one micro-USD here. */
const CREDIT = 10_000;
const MINUTES_16 = 16 * 60_000;
const wait = { Prefer: "wait=10" };
const paid = (output_tokens: number) =>
	oneEach({ prompt_tokens: 20, output_tokens, images: 1 });

const ask = (
	account: TestAccount,
	body: unknown,
	query = "",
): Promise<Response> =>
	edge.fetch(`http://edge.test/v1/quotes${query}`, {
		method: "POST",
		headers: {
			Authorization: `Bearer ${account.key}`,
			...(body !== undefined && { "Content-Type": "application/json" }),
		},
		body: body === undefined ? null : JSON.stringify(body),
	});
const quoted = async (
	account: TestAccount,
	more: object = {},
): Promise<Wire> => {
	const response = await ask(account, { ...JOB_REQUEST, ...more });
	expect(response.status).toBe(200);
	return response.json();
};
/** A quote as this deployment would sign it. */
const signed = (account: TestAccount, part: Partial<Quote>) =>
	signQuote(config(bindings).KEY_SECRETS[0] as string, account.id, {
		id: newQuoteId(),
		model: "nano",
		prices: ONE_EACH,
		maximum: HOLD,
		jobHash: null,
		expiresAt: Date.now() + 60_000,
		...part,
	});

describe("a quote", () => {
	it("has as its maximum what the job holds, and expects what the worker counts", async () => {
		const { opened, open } = gate();
		fakeWorker({ tokens: words(3), gate: () => opened });
		const account = await newAccount(CREDIT);
		const quote = await quoted(account);
		const most = { prompt_tokens: HOLD - 301, output_tokens: 300, images: 1 };
		const usual = { prompt_tokens: 20, output_tokens: 8, images: 1 };
		expect(quote).toEqual({
			quote: expect.stringMatching(/^q1\.[\w-]+\.[\w-]+$/),
			model: "nano",
			maximum: HOLD,
			maximum_parts: oneEach(most).price_parts,
			expected: 29,
			expected_parts: oneEach(usual).price_parts,
			counted_by: "tokenizer",
			price_version: "test",
			expires_at: expect.any(String),
		});
		const left = Date.parse(quote.expires_at) - Date.now();
		expect(Math.round(left / 60_000)).toBe(15);
		const { id } = await (
			await create(account, { quote: quote.quote })
		).json<Wire>();
		expect((await money(account)).held).toBe(HOLD);
		open();
		expect(await ended(account, id)).toMatchObject(paid(3));
	});

	it("estimates the prompt where no worker answers, and says so", async () => {
		const account = await newAccount(CREDIT);
		const { expected, counted_by } = await quoted(account);
		// Template, image, a quarter of 13 bytes, the usual answer, the image.
		expect(expected).toBe(4 + 5 + 9 + 4 + 8 + 1);
		expect(counted_by).toBe("estimate");
		const elsewhere = await quoted(account, { model: "llama2-7b" });
		expect(elsewhere.counted_by).toBe("estimate");
	});

	it("makes nothing, holds nothing and needs no credit; it is one request", async () => {
		fakeWorker({ tokens: words(3) });
		const account = await newAccount();
		await quoted(account);
		const before = await dump(account.stub);
		const remaining = async () => {
			const response = await ask(account, JOB_REQUEST);
			expect(response.status).toBe(200);
			return Number(
				/"requests";r=(\d+)/.exec(response.headers.get("RateLimit") ?? "")?.[1],
			);
		};
		const first = await remaining();
		expect(await remaining()).toBe(first - 1);
		const after = await dump(account.stub);
		expect({ ...after, rate: null }).toEqual({ ...before, rate: null });
	});

	it("has the length of the task, or `max_tokens`, for the answer", async () => {
		fakeWorker({ tokens: words(3) });
		const account = await newAccount();
		const tokensOf = async (more: object) =>
			(await quoted(account, more)).expected_parts[1].quantity;
		expect(await tokensOf({ prompt: null, task: "poem" })).toBe(157);
		expect(await tokensOf({ prompt: null, task: "poem", max_tokens: 20 })).toBe(
			20,
		);
		expect(await tokensOf({})).toBe(8);
	});

	it("has `max_price` as its maximum where that is lower, and refuses one too low", async () => {
		const account = await newAccount();
		expect((await quoted(account, { max_price: 25 })).maximum).toBe(25);
		const refused = await ask(account, { ...JOB_REQUEST, max_price: 13 });
		expect(await refusal(refused)).toEqual([
			400,
			"max_price_too_low",
			"max_price",
		]);
	});

	it("of a job that goes on from another has the whole conversation, and its model", async () => {
		fakeWorker({ tokens: words(3) }, "vicuna-7b");
		const account = await newAccount(1_000_000);
		const first = await create(account, { model: "vicuna-7b" }, wait);
		const { id } = await first.json<Wire>();
		const body = { previous_job: id, prompt: "Why?" };
		const response = await ask(account, body);
		const quote = await response.json<Wire>();
		expect(quote.model).toBe("vicuna-7b");
		const prompt = 20 + words(3).join("").length + 4;
		expect(quote.expected_parts[0].quantity).toBe(prompt);
		expect(quote.expected_parts[2].quantity).toBe(1);
		const next = await call(account, "", {
			body: { ...body, quote: quote.quote },
			headers: wait,
		});
		const job = await next.json<Wire>();
		expect([job.status, job.model]).toEqual(["succeeded", "vicuna-7b"]);
		expect(job.price).toBeLessThanOrEqual(quote.maximum);
	});

	it("is refused for what a job would be refused for", async () => {
		const account = await newAccount();
		for (const [body, ...expected] of [
			[{ model: "gpt-4o", prompt: "?" }, 404, "model_not_found"],
			[{ prompt: "?", max_tokens: 0 }, 400, "invalid_request", "max_tokens"],
			[
				{ prompt: "a b ".repeat(8_000) },
				400,
				"context_length_exceeded",
				"prompt",
			],
			[
				{ prompt: "?", images: [{ upload: "img_01JD8Z6Q3V9Y4K2M7N5P8R1S3T" }] },
				404,
				"upload_not_found",
				"images[0].upload",
			],
			[
				{ prompt: "?", images: [{ url: "data:," }] },
				422,
				"url_refused",
				"images[0].url",
			],
			[
				{ prompt: "?", previous_job: newJobId(1) },
				404,
				"job_not_found",
				"previous_job",
			],
		] as const)
			expect(await refusal(await ask(account, body))).toEqual(expected);
		expect(await refusal(await ask(account, undefined))).toEqual([
			400,
			"body_required",
		]);
	});
});

describe("a quote of counts", () => {
	it("is their price, and caps any one job of its model", async () => {
		fakeWorker({ tokens: words(30) });
		const account = await newAccount(CREDIT);
		const counts = "?model=nano&prompt_tokens=20&images=1&output_tokens=8";
		const quote = await (await ask(account, undefined, counts)).json<Wire>();
		const usage = { prompt_tokens: 20, output_tokens: 8, images: 1 };
		const { price, price_parts } = oneEach(usage);
		expect(quote).toMatchObject({
			model: "nano",
			maximum: price,
			maximum_parts: price_parts,
			expected: price,
			expected_parts: price_parts,
			counted_by: "caller",
		});
		const { quote: token } = quote;
		const other = await create(account, { model: "vicuna-7b", quote: token });
		expect(await refusal(other)).toEqual([409, "quote_mismatch", "quote"]);
		const job = await (
			await create(account, { quote: token }, wait)
		).json<Wire>();
		expect(job).toMatchObject({
			price,
			output: { text: words(8).join(""), finish_reason: "budget" },
		});
	});

	it("needs both lengths, within what the model takes, and no body", async () => {
		const account = await newAccount();
		for (const [query, field] of [
			["?model=nano", "prompt_tokens"],
			["?prompt_tokens=20", "output_tokens"],
			["?prompt_tokens=2049&output_tokens=1", "prompt_tokens"],
			["?prompt_tokens=1&output_tokens=2049", "output_tokens"],
			["?prompt_tokens=1&output_tokens=1&images=5", "images"],
			["?prompt_tokens=-1&output_tokens=1", "prompt_tokens"],
			["?prompt_tokens=&output_tokens=1", "prompt_tokens"],
			["?prompt_tokens=1&output_tokens=1.5", "output_tokens"],
			["?tokens=1", "tokens"],
		])
			expect(await refusal(await ask(account, undefined, query))).toEqual([
				400,
				"invalid_request",
				field,
			]);
		const both = await ask(
			account,
			JOB_REQUEST,
			"?prompt_tokens=1&output_tokens=1",
		);
		expect(await refusal(both)).toEqual([400, "invalid_request", "body"]);
	});
});

describe("a job that presents a quote", () => {
	it("has the quote's prices and version, and costs no more than its maximum", async () => {
		fakeWorker({ tokens: words(30) });
		const account = await newAccount(CREDIT);
		const rates = {
			prompt_tokens: 0,
			output_tokens: 2_000_000,
			images: 0,
		};
		const quote = await signed(account, {
			prices: { version: "before", rates },
			maximum: 9,
		});
		const job = await (await create(account, { quote }, wait)).json<Wire>();
		expect(job).toMatchObject({
			price: 8,
			price_version: "before",
			output: { text: words(4).join(""), finish_reason: "budget" },
		});
	});

	it("is capped by the lower one of quote and `max_price`", async () => {
		fakeWorker({ tokens: words(30) });
		const account = await newAccount(CREDIT);
		for (const [maximum, max_price, price] of [
			[25, 29, 25],
			[29, 25, 25],
		] as const) {
			const quote = await signed(account, { maximum });
			const job = await create(account, { quote, max_price }, wait);
			expect((await job.json<Wire>()).price).toBe(price);
		}
		const { quote } = await quoted(account);
		const capped = await create(account, { quote, max_price: 26 }, wait);
		expect((await capped.json<Wire>()).price).toBe(26);
	});

	it("may bring the photo by another way", async () => {
		fakeWorker({ tokens: words(3) });
		const account = await newAccount(CREDIT);
		const images = [{ upload: await uploaded(account) }];
		const { quote } = await quoted(account, { images });
		const again = [{ upload: await uploaded(account) }];
		const { quote: another } = await quoted(account, { images });
		const inline = await create(account, { quote }, wait);
		expect((await inline.json<Wire>()).status).toBe("succeeded");
		const upload = await create(
			account,
			{ images: again, quote: another },
			wait,
		);
		expect((await upload.json<Wire>()).status).toBe("succeeded");
	});

	it("is refused where anything was changed, and changes nothing", async () => {
		const account = await newAccount(CREDIT);
		const { quote } = await quoted(account);
		const before = await dump(account.stub);
		for (const change of [
			{ prompt: "What is that?" },
			{ images: [{ url: PNG }, { url: PNG }] },
			{ max_tokens: 299 },
			{ temperature: 0.1 },
			{ metadata: { a: "b" } },
			{ model: "vicuna-7b" },
		]) {
			const refused = await create(account, { ...change, quote });
			expect(await refusal(refused)).toEqual([409, "quote_mismatch", "quote"]);
		}
		const after = await dump(account.stub);
		expect({ ...after, rate: null }).toEqual({ ...before, rate: null });
	});

	it("is refused where the quote is another account's, or nobody's", async () => {
		const account = await newAccount(CREDIT);
		const { quote } = await quoted(await newAccount());
		for (const one of [quote, "q1.W10.AAAAAAAAAAAAAAAAAAAAAA", "quote"])
			expect(await refusal(await create(account, { quote: one }))).toEqual([
				400,
				"quote_invalid",
				"quote",
			]);
		expect(await money(account)).toEqual({ available: CREDIT, held: 0 });
	});

	it("is refused once the quote has expired, and told when that was", async () => {
		const account = await newAccount(CREDIT);
		const { quote, expires_at } = await quoted(account);
		await moveClock(account.stub, MINUTES_16);
		const refused = await create(account, { quote });
		expect(refused.status).toBe(410);
		expect(await refused.json()).toMatchObject({
			code: "quote_expired",
			field: "quote",
			expired_at: expires_at,
		});
	});

	it("is refused where another job has the quote, which is named", async () => {
		fakeWorker({ tokens: words(3) });
		const account = await newAccount(CREDIT);
		const { quote } = await quoted(account);
		const { id } = await (await create(account, { quote }, wait)).json<Wire>();
		const refused = await create(account, { quote });
		expect(refused.status).toBe(409);
		expect(await refused.json()).toMatchObject({
			code: "quote_used",
			field: "quote",
			job: id,
			detail: expect.stringContaining(id),
		});
		// Nor is it free again when that job is erased.
		await call(account, `/${id}`, { method: "DELETE" });
		expect(await refusal(await create(account, { quote }))).toEqual([
			409,
			"quote_used",
			"quote",
		]);
	});

	it("is the one of many that came at once", async () => {
		fakeWorker({ tokens: words(3) });
		const account = await newAccount(100_000);
		const { quote } = await quoted(account);
		const answers = await Promise.all(
			Array.from({ length: 8 }, () => create(account, { quote })),
		);
		const jobs = answers.filter(({ status }) => status === 202);
		expect(jobs.length).toBe(1);
		const { id } = await (jobs[0] as Response).json<Wire>();
		for (const other of answers.filter(({ status }) => status !== 202))
			expect(await other.json()).toMatchObject({ code: "quote_used", job: id });
		await ended(account, id);
	});

	it("may be sent again under its name, also after the quote expired", async () => {
		fakeWorker({ tokens: words(3) });
		const account = await newAccount(CREDIT);
		const first = (await quoted(account)).quote;
		const second = (await quoted(account)).quote;
		const key = { "Idempotency-Key": "order-117" };
		const named = newJobId(Date.now());
		const put = () =>
			call(account, `/${named}`, {
				method: "PUT",
				body: { ...JOB_REQUEST, quote: second },
			});
		const post = () => create(account, { quote: first }, key);
		const ids = [await post(), await put()].map(async (response) => {
			expect(response.status).toBe(202);
			return (await response.json<Wire>()).id;
		});
		const [posted] = await Promise.all(ids);
		for (const ahead of [0, MINUTES_16]) {
			await moveClock(account.stub, ahead);
			for (const [again, id] of [
				[await post(), posted],
				[await put(), named],
			] as const) {
				expect(again.headers.get("Idempotent-Replayed")).toBe("true");
				expect((await again.json<Wire>()).id).toBe(id);
			}
		}
	});

	it("tells a key for pages nothing of a job that it does not see", async () => {
		fakeWorker({ tokens: words(3) });
		const account = await newAccount(CREDIT);
		const { quote } = await quoted(account);
		const { id } = await (await create(account, { quote }, wait)).json<Wire>();
		const origin = "https://app.example.com";
		const made = await edge.fetch("http://edge.test/v1/keys", {
			method: "POST",
			headers: {
				Authorization: `Bearer ${account.key}`,
				"Content-Type": "application/json",
			},
			body: JSON.stringify({ name: "page", origins: [origin] }),
		});
		const page = await made.json<Wire>();
		const refused = await call(page, "", {
			body: { ...JOB_REQUEST, quote },
			headers: { Origin: origin },
		});
		const text = await refused.text();
		expect(JSON.parse(text).code).toBe("quote_used");
		expect(text).not.toContain(id);
	});
});

describe("a completion", () => {
	const complete = (account: TestAccount, body: object): Promise<Response> =>
		edge.fetch("http://edge.test/v1/chat/completions", {
			method: "POST",
			headers: {
				"Content-Type": "application/json",
				Authorization: `Bearer ${account.key}`,
			},
			body: JSON.stringify({ model: "nano", max_tokens: 60, ...body }),
		});

	it("presents the quote of a job with the same messages, and is capped by it", async () => {
		fakeWorker({ tokens: words(30) });
		const account = await newAccount(CREDIT);
		const messages = [{ role: "user", content: "What is this?" }];
		const made = await ask(account, { messages, max_tokens: 60 });
		const { quote, maximum } = await made.json<Wire>();
		const changed = [{ role: "user", content: "What is that?" }];
		const refused = await complete(account, { messages: changed, quote });
		expect(refused.status).toBe(409);
		expect((await refused.json<Wire>()).error).toMatchObject({
			code: "quote_mismatch",
			param: "quote",
		});
		const answer = await complete(account, { messages, quote });
		expect(answer.status).toBe(200);
		expect((await answer.json<Wire>()).usage.price).toBeLessThanOrEqual(
			maximum,
		);
	});
});
