import { listDurableObjectIds, runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { unwrap } from "../../src/errors.ts";
import { JOB_ID } from "../../src/ids.ts";
import { PICTURE_TEXT_BYTES } from "../../src/pricing/bound.ts";
import { preferredWait } from "../../src/submit/request.ts";
import { bindings, dump, newAccount } from "../support/account.ts";
import { call, create, ended, HOLD, PNG, priceOf } from "../support/calls.ts";
import { eventually } from "../support/eventually.ts";
import { fixture, resized } from "../support/images.ts";
import {
	bucket,
	fakeWorker,
	gate,
	money,
	read,
	textOf,
	types,
	words,
} from "../support/jobs.ts";

const photo = fixture("place.jpg");
const dataUrl = (bytes: Uint8Array): string =>
	`data:${photo.type};base64,${btoa(String.fromCharCode(...bytes))}`;

const jobObjects = async () =>
	(await listDurableObjectIds(bindings.JOB)).length;

describe("POST /v1/jobs", () => {
	it("answers 202 with the job's place, and the job runs", async () => {
		const worker = fakeWorker({ tokens: ["A", " square"] });
		const account = await newAccount(10_000);
		const response = await create(account, { metadata: { shelf: "7" } });
		expect(response.status).toBe(202);
		// biome-ignore lint/suspicious/noExplicitAny: the wire is what these tests look at
		const job: any = await response.json();
		expect(job.id).toMatch(JOB_ID);
		expect(job).toMatchObject({
			object: "job",
			status: expect.stringMatching(/^(queued|running)$/),
			price: null,
			metadata: { shelf: "7" },
			urls: {
				self: `http://edge.test/v1/jobs/${job.id}`,
				events: `http://edge.test/v1/jobs/${job.id}/events`,
			},
		});
		expect(response.headers.get("Location")).toBe(job.urls.self);
		expect(await ended(account, job.id)).toMatchObject({
			status: "succeeded",
			output: { text: "A square", finish_reason: "stop" },
			usage: { images: 1, prompt_tokens: 20, output_tokens: 2 },
			price: priceOf(2),
			error: null,
		});
		expect(worker.requests[0]?.messages).toEqual([
			{
				role: "user",
				content: [{ type: "image" }, { type: "text", text: "What is this?" }],
			},
		]);
		expect(await money(account)).toEqual({
			available: 10_000 - priceOf(2),
			held: 0,
		});
	});

	it("streams from the creating call, the job's id in the first event", async () => {
		fakeWorker({ tokens: words(6), every: 5 });
		const account = await newAccount(10_000);
		const response = await create(account, {}, { Accept: "text/event-stream" });
		expect(response.status).toBe(200);
		expect(response.headers.get("Content-Type")).toMatch(/^text\/event-stream/);
		const seen = await read(response.body as ReadableStream<Uint8Array>);
		expect(response.headers.get("Location")).toBe(
			`http://edge.test/v1/jobs/${seen[0]?.data.id}`,
		);
		expect(types(seen)).toEqual([
			"job.queued",
			"job.running",
			"token",
			"usage",
			"job.succeeded",
			"done",
		]);
		expect(textOf(seen)).toBe(words(6).join(""));
	});

	it("waits as long as the caller prefers: 200 when the job ended, else 202", async () => {
		fakeWorker((prompt) => ({
			tokens: words(3),
			every: prompt.startsWith("slow") ? 1000 : 1,
		}));
		const account = await newAccount(10_000);
		const prefer = { Prefer: "respond-async, wait=2" };
		const fast = await create(account, {}, prefer);
		expect(fast.status).toBe(200);
		expect(fast.headers.get("Preference-Applied")).toBe("wait=2");
		expect(await fast.json()).toMatchObject({ status: "succeeded" });
		const slow = await create(
			account,
			{ prompt: "slow" },
			{ Prefer: "wait=1" },
		);
		expect(slow.status).toBe(202);
		expect(slow.headers.get("Preference-Applied")).toBe("wait=1");
		expect(await slow.json()).toMatchObject({ status: "running" });
	});

	it("of a job that ends with the connection waits aloud after a second, as 202", async () => {
		const hold = gate();
		fakeWorker((prompt) => ({
			tokens: words(3),
			...(prompt.startsWith("slow") && { gate: () => hold.opened }),
		}));
		const account = await newAccount(10_000);
		const minding = { on_disconnect: "cancel" };
		const prefer = { Prefer: "wait=30" };
		const fast = await create(account, minding, prefer);
		expect(fast.status).toBe(200);
		expect(await fast.text()).toMatch(/^\{/);
		const slow = await create(account, { ...minding, prompt: "slow" }, prefer);
		expect(slow.status).toBe(202);
		expect(slow.headers.get("Preference-Applied")).toBe("wait=30");
		expect(slow.headers.get("Content-Encoding")).toBe("identity");
		setTimeout(hold.open, 600);
		const text = await slow.text();
		expect(text).toMatch(/^ {2,}\{/);
		expect(JSON.parse(text)).toMatchObject({
			object: "job",
			status: "succeeded",
			price: priceOf(3) - "What is this?".length + "slow".length,
			output: { text: words(3).join("") },
		});
		const brief = { Prefer: "wait=2" };
		const held = gate();
		fakeWorker({ tokens: words(3), gate: () => held.opened });
		const late = await create(account, minding, brief);
		expect(await late.json()).toMatchObject({ status: "running" });
		held.open();
		expect(
			await ended(account, late.headers.get("Location")?.slice(-26) as string),
		).toMatchObject({ status: "succeeded" });
	});

	it("of a job that is erased as it ends says how it ended, or that it is gone", async () => {
		const hold = gate();
		fakeWorker({ tokens: words(3), gate: () => hold.opened });
		const account = await newAccount(10_000);
		const id = "01JD8Z6Q3V9Y4K2M7N5P8R1S3T";
		const put = (headers: Record<string, string>) =>
			call(account, `/${id}`, {
				method: "PUT",
				body: { prompt: "What is this?" },
				headers,
			});
		await put({});
		const reading = call(account, `/${id}/events`);
		const waiting = Array.from({ length: 150 }, () =>
			put({ Prefer: "wait=30" }),
		);
		const stub = bindings.JOB.get(
			bindings.JOB.idFromName(`${account.id}/${id}`),
		);
		await eventually(() =>
			runInDurableObject(stub, (_, state) => {
				expect(state.getWebSockets()).toHaveLength(151);
			}),
		);
		hold.open();
		await read(
			(await reading).body as ReadableStream,
			({ type }) => type === "done",
		);
		await call(account, `/${id}`, { method: "DELETE" });
		for (const answer of await Promise.all(waiting)) {
			// biome-ignore lint/suspicious/noExplicitAny: the wire is what these tests look at
			const body: any = await answer.json();
			expect([
				[200, "succeeded"],
				[410, "job_gone"],
			]).toContainEqual([answer.status, body.code ?? body.status]);
		}
	});

	it("of a job that ends when it is hung up on ends it within two seconds", async () => {
		const hold = gate();
		fakeWorker({
			tokens: words(5),
			gate: (n) => (n === 2 ? hold.opened : undefined),
		});
		const account = await newAccount(10_000);
		const answer = await create(
			account,
			{ on_disconnect: "cancel", max_tokens: 100 },
			{ Prefer: "wait=60" },
		);
		await answer.body?.cancel();
		const left = Date.now();
		const id = answer.headers.get("Location")?.slice(-26) as string;
		const job = await ended(account, id);
		expect(job).toMatchObject({ status: "canceled", price: priceOf(2) });
		expect(Date.parse(job.finished_at) - left).toBeLessThan(2_500);
		hold.open();
	});

	it("reads Prefer as RFC 7240 writes it, at most 60 s", () => {
		expect(preferredWait(undefined)).toBe(null);
		expect(preferredWait("respond-async")).toBe(null);
		expect(preferredWait("wait=10")).toBe(10);
		expect(preferredWait('respond-async; x=1, wait = "9"')).toBe(9);
		expect(preferredWait("wait=3600")).toBe(60);
		expect(preferredWait("await=5")).toBe(null);
	});

	it("takes a task instead of a prompt, and an upload instead of a URL", async () => {
		const worker = fakeWorker({ tokens: ["x"] });
		const account = await newAccount(10_000);
		// biome-ignore lint/suspicious/noExplicitAny: the wire is what these tests look at
		const first: any = await (await create(account)).json();
		const second = await create(account, {
			images: first.images,
			prompt: undefined,
			task: "poem",
		});
		expect(second.status).toBe(202);
		await eventually(() => expect(worker.requests).toHaveLength(2));
		expect(JSON.stringify(worker.requests[1]?.messages)).toContain("poem");
		expect(worker.requests[1]?.images[0]?.id).toBe(
			worker.requests[0]?.images[0]?.id,
		);
	});

	it.each([
		[
			"a task without images",
			{ images: [], prompt: undefined, task: "describe" },
			400,
			"invalid_request",
			"images",
		],
		[
			"an unknown parameter",
			{ maxtokens: 3 },
			400,
			"invalid_request",
			"maxtokens",
		],
		["prompt and task", { task: "poem" }, 400, "invalid_request", "prompt"],
		["neither", { prompt: undefined }, 400, "invalid_request", "prompt"],
		["too hot", { temperature: 3 }, 400, "invalid_request", "temperature"],
		["another model", { model: "gpt" }, 404, "model_not_found", undefined],
		[
			"a model that is not served here",
			{ model: "vicuna-13b" },
			404,
			"model_not_found",
			undefined,
		],
		[
			"a name of Object's",
			{ model: "toString" },
			404,
			"model_not_found",
			undefined,
		],
		[
			"half a surrogate",
			{ metadata: { a: "\ud800" } },
			400,
			"invalid_request",
			"body",
		],
		[
			"an unknown upload",
			{ images: [{ upload: "img_01JD8Z6Q3V9Y4K2M7N5P8R1S3T" }] },
			404,
			"upload_not_found",
			"images[0].upload",
		],
		[
			"no image",
			{ images: [{ url: "data:image/png;base64,AAAA" }] },
			422,
			"image_type_unsupported",
			"images[0].url",
		],
		[
			"a truncated image",
			{ images: [{ url: dataUrl(photo.bytes.slice(0, 400)) }] },
			422,
			"image_truncated",
			"images[0].url",
		],
		[
			"a single pixel",
			{ images: [{ url: dataUrl(resized(photo, 1, 1)) }] },
			422,
			"image_dimensions",
			"images[0].url",
		],
		[
			"a header of 20,000 x 20,000",
			{ images: [{ url: dataUrl(resized(photo, 20_000, 20_000)) }] },
			422,
			"image_dimensions",
			"images[0].url",
		],
		[
			"a private address, in any notation",
			{ images: [{ url: PNG }, { url: "https://0x7f.1/a.png" }] },
			422,
			"url_refused",
			"images[1].url",
		],
		[
			"a URL that is not https",
			{ images: [{ url: "http://example.com/a.png" }] },
			422,
			"url_refused",
			"images[0].url",
		],
		[
			"a prompt that cannot fit, whatever the tokenizer does",
			{ prompt: "a b c d ".repeat(1_000) },
			400,
			"context_length_exceeded",
			"prompt",
		],
	] as const)(
		"refuses %s: nothing held, no job woken",
		async (_, more, status, code, field) => {
			fakeWorker({ tokens: ["x"] });
			const account = await newAccount(10_000);
			const before = await jobObjects();
			const response = await create(account, more);
			// biome-ignore lint/suspicious/noExplicitAny: the wire is what these tests look at
			const problem: any = await response.json();
			expect([response.status, problem.code, problem.field]).toEqual([
				status,
				code,
				field,
			]);
			expect(await jobObjects()).toBe(before);
			expect(await money(account)).toEqual({ available: 10_000, held: 0 });
			const page = await (await call(account, "")).json();
			expect(page).toEqual({ data: [], next_cursor: null });
		},
	);

	it("refuses a key that is none of ours before it reads the body", async () => {
		const forged = `mg_live_${"0".repeat(16)}_${"0".repeat(52)}_${"0".repeat(16)}`;
		const accounts = await listDurableObjectIds(bindings.ACCOUNT);
		for (const [key, code] of [
			[null, "missing_key"],
			[{ key: forged }, "invalid_key"],
		] as const) {
			const response = await call(key, "", { body: { nonsense: true } });
			expect(response.status).toBe(401);
			expect(await response.json()).toMatchObject({ code });
		}
		expect(await listDurableObjectIds(bindings.ACCOUNT)).toEqual(accounts);
	});

	it("refuses without credit before it stores anything", async () => {
		fakeWorker({ tokens: ["x"] });
		const account = await newAccount(10);
		const [before, objects] = [await jobObjects(), bucket.size];
		const response = await create(account);
		expect(response.status).toBe(402);
		expect(await response.json()).toMatchObject({
			code: "insufficient_credit",
			available: 10,
			price: HOLD,
		});
		const { upload, due } = await dump(account.stub);
		expect({ upload, due }).toEqual({ upload: [], due: [] });
		expect([await jobObjects(), bucket.size]).toEqual([before, objects]);
	});
});

/** What is held for a request at vicuna-7b, a fifth of it: its prompt template is longer. */
const LARGE = 7 + 5 + (32 + 6 + PICTURE_TEXT_BYTES + 1) + (13 + 1) + 1 + 300;

describe("a job's model", () => {
	it("decides which worker answers, and at which price", async () => {
		const nano = fakeWorker({ tokens: ["small"] });
		const vicuna = fakeWorker({ tokens: ["large"] }, "vicuna-7b");
		const account = await newAccount(10_000);
		const prefer = { Prefer: "wait=10" };
		for (const [model, text, price] of [
			["vicuna-7b", "large", 5 * priceOf(1)],
			["nano", "small", priceOf(1)],
			[undefined, "small", priceOf(1)],
		] as const) {
			const answer = await create(account, { model }, prefer);
			expect(await answer.json()).toMatchObject({
				status: "succeeded",
				model: model ?? "nano",
				output: { text },
				price,
			});
		}
		expect(vicuna.requests.map(({ model }) => model)).toEqual(["vicuna-7b"]);
		expect(nano.requests.map(({ model }) => model)).toEqual(["nano", "nano"]);
		expect(await money(account)).toEqual({
			available: 10_000 - 7 * priceOf(1),
			held: 0,
		});
		const rows = await runInDurableObject(account.stub, (_, { storage }) =>
			storage.sql
				.exec("SELECT kind, amount, released FROM entry WHERE kind <> 'credit'")
				.toArray(),
		);
		expect(rows).toEqual(
			[
				{ hold: 5 * LARGE, price: 5 * priceOf(1) },
				{ hold: HOLD, price: priceOf(1) },
				{ hold: HOLD, price: priceOf(1) },
			].flatMap(({ hold, price }) => [
				{ kind: "hold", amount: hold, released: 0 },
				{ kind: "settle", amount: price, released: hold - price },
			]),
		);
	});

	it("is the one whose price must be there", async () => {
		fakeWorker({ tokens: ["x"] }, "vicuna-7b");
		fakeWorker({ tokens: ["x"] });
		const account = await newAccount(5 * LARGE - 1);
		const refused = await create(account, { model: "vicuna-7b" });
		expect(refused.status).toBe(402);
		expect(await refused.json()).toMatchObject({
			code: "insufficient_credit",
			available: 5 * LARGE - 1,
			price: 5 * LARGE,
		});
		expect((await create(account)).status).toBe(202);
	});

	it("has a queue of its own: one that is busy holds up no other", async () => {
		const hold = gate();
		const nano = fakeWorker({ tokens: ["x"], gate: () => hold.opened });
		nano.slots = 1;
		fakeWorker({ tokens: ["y"] }, "vicuna-7b");
		const account = await newAccount(20_000);
		const waiting = [await create(account), await create(account)];
		const answer = await create(
			account,
			{ model: "vicuna-7b" },
			{ Prefer: "wait=10" },
		);
		expect(await answer.json()).toMatchObject({ status: "succeeded" });
		hold.open();
		for (const response of waiting) {
			const { id } = await response.json<{ id: string }>();
			expect(await ended(account, id)).toMatchObject({ status: "succeeded" });
		}
	});

	it("counts its own tokens against its own context", async () => {
		fakeWorker({ tokens: ["x"] }, "vicuna-7b");
		const account = await newAccount(10_000);
		// 1,600 numbers of one digit: each a token of LLaMA's, with a space before each.
		const prompt = "1 ".repeat(1_600);
		const refused = await create(account, { model: "vicuna-7b", prompt });
		expect(refused.status).toBe(400);
		expect(await refused.json()).toMatchObject({
			code: "context_length_exceeded",
			tokens: 3_199 + 32,
			context_length: 2048,
		});
	});
});

describe("GET /v1/jobs", () => {
	it("lists the account's own, newest first, page by page", async () => {
		fakeWorker({ tokens: ["x"] });
		const account = await newAccount(10_000);
		const other = await newAccount(10_000);
		await create(other);
		const ids: string[] = [];
		for (let n = 0; n < 3; n++)
			ids.unshift(
				((await (await create(account)).json()) as { id: string }).id,
			);
		type Page = { data: { id: string }[]; next_cursor: string | null };
		const first = await (await call(account, "?limit=2")).json<Page>();
		const second = await (
			await call(account, `?limit=2&cursor=${first.next_cursor}`)
		).json<Page>();
		expect([...first.data, ...second.data].map(({ id }) => id)).toEqual(ids);
		expect(second.next_cursor).toBe(null);
	});

	it.each(["limit=0", "limit=101", "limit=x", "cursor=x", "page=2"])(
		"refuses ?%s and names it",
		async (query) => {
			const response = await call(await newAccount(), `?${query}`);
			expect(response.status).toBe(400);
			expect(await response.json()).toMatchObject({
				code: "invalid_request",
				field: query.split("=")[0],
			});
		},
	);
});

describe("a job of another account, or of nobody", () => {
	it("is not found, and no Job is woken to say so", async () => {
		fakeWorker({ tokens: ["x"] });
		const owner = await newAccount(10_000);
		const { id } = await (await create(owner)).json<{ id: string }>();
		const stranger = await newAccount(10_000);
		const before = await jobObjects();
		for (const path of [
			`/${id}`,
			`/${id}/events`,
			"/01JD8Z6Q3V9Y4K2M7N5P8R1S3T",
			"/nonsense",
		]) {
			const response = await call(stranger, path);
			expect(response.status).toBe(404);
			expect(await response.json()).toMatchObject({ code: "job_not_found" });
		}
		expect(await jobObjects()).toBe(before);
		unwrap(await owner.stub.lookup(owner.credential, id));
	});
});
