import { describe, expect, it, vi } from "vitest";
import { Job } from "../../src/job/job.ts";
import { newAccount, ringAfter, type TestAccount } from "../support/account.ts";
import {
	call,
	create,
	ended,
	JOB_REQUEST,
	PNG,
	refusal,
	uploaded,
	type Wire,
} from "../support/calls.ts";
import { eventually } from "../support/eventually.ts";
import { bucket, fakeWorker, gate, money, words } from "../support/jobs.ts";

const CREDIT = 50_000;
const DAY = 24 * 60 * 60_000;
const ANSWER = words(3).join("");

const text = (text: string) => ({ type: "text", text });
const image = { type: "image" };
const user = (...content: unknown[]) => ({ role: "user", content });
const says = (answer = ANSWER) => ({
	role: "assistant",
	content: [text(answer)],
});

/** As the worker was asked last. */
const heard = (worker: ReturnType<typeof fakeWorker>) =>
	worker.requests.at(-1)?.messages;

/** A job that has ended. */
async function told(
	account: TestAccount,
	body: object,
	headers = {},
): Promise<Wire> {
	const response = await call(account, "", { body, headers });
	const job = await response.json<Wire>();
	if (!response.ok) throw new Error(JSON.stringify(job));
	return ended(account, job.id);
}

/** Deletes a job, and lets the account delete what is due then. */
async function deleted(account: TestAccount, id: string): Promise<void> {
	const response = await call(account, `/${id}`, { method: "DELETE" });
	expect(response.status).toBe(204);
	await ringAfter(account, 1_000).catch(() => {});
}

const objectsOf = ({ id }: TestAccount) =>
	[...bucket.keys()].filter((path) => path.includes(id));

describe("`messages`", () => {
	it("reach the worker turn by turn, each image where its part stands", async () => {
		const worker = fakeWorker({ tokens: words(3) });
		const account = await newAccount(CREDIT);
		const [one, two] = [await uploaded(account), await uploaded(account)];
		const job = await told(account, {
			images: [{ upload: one }, { upload: two }],
			messages: [
				{ role: "system", content: "Be brief." },
				user(image, text("What is this?")),
				{ role: "assistant", content: "A cat." },
				user(text("And this?"), image),
			],
		});
		expect(job.images).toEqual([{ upload: one }, { upload: two }]);
		expect(heard(worker)).toEqual([
			{ role: "system", content: [text("Be brief.")] },
			user(image, text("What is this?")),
			says("A cat."),
			user(text("And this?"), image),
		]);
		const urls = worker.requests[0]?.images.map(({ url }) => url);
		expect([urls?.[0]?.includes(one), urls?.[1]?.includes(two)]).toEqual([
			true,
			true,
		]);
	});

	it("have the images that no part takes before the first user's text", async () => {
		const worker = fakeWorker({ tokens: words(3) });
		const account = await newAccount(CREDIT);
		const [one, two] = [await uploaded(account), await uploaded(account)];
		const job = await told(account, {
			images: [{ upload: one }, { upload: two }],
			messages: [
				{ role: "user", content: "What is this?" },
				{ role: "assistant", content: "A cat." },
				user(text("And this?"), image),
			],
		});
		expect(heard(worker)).toEqual([
			user(image, text("What is this?")),
			says("A cat."),
			user(text("And this?"), image),
		]);
		// The part takes images[0]; what is left is read first.
		expect(job.images).toEqual([{ upload: two }, { upload: one }]);
	});

	it("need no image, nor does a prompt", async () => {
		const worker = fakeWorker({ tokens: words(3) });
		const account = await newAccount(CREDIT);
		await told(account, { messages: [{ role: "user", content: "Hello" }] });
		expect(heard(worker)).toEqual([user(text("Hello"))]);
		await told(account, { prompt: "Hello" });
		expect(heard(worker)).toEqual([user(text("Hello"))]);
	});

	it.each([[null], [""], [[]], [{}]])(
		"pass over what is empty (%j), by whatever name it comes",
		async (empty) => {
			const worker = fakeWorker({ tokens: words(3) });
			const account = await newAccount(CREDIT);
			const names =
				"model images prompt task previous_job max_tokens temperature top_p " +
				"repetition_penalty seed stop metadata expires_in on_disconnect webhook " +
				"tools stream response_format logit_bias nonsense";
			await told(account, {
				...Object.fromEntries(names.split(" ").map((name) => [name, empty])),
				messages: [user(text("Hello"))],
			});
			expect(heard(worker)).toEqual([user(text("Hello"))]);
			expect(worker.requests[0]).toMatchObject({
				max_tokens: 300,
				temperature: 1,
				top_p: 0.9,
				repetition_penalty: 1.05,
			});
			await told(account, { prompt: "Hello", messages: empty, task: empty });
			expect(heard(worker)).toEqual([user(text("Hello"))]);
		},
	);

	it("pass over what asks for nothing in OpenAI's words", async () => {
		const worker = fakeWorker({ tokens: words(3) });
		const account = await newAccount(CREDIT);
		await told(account, {
			prompt: "Hello",
			images: [{ url: PNG, upload: null }],
			webhook: { url: "https://example.com/x", events: null },
			n: 1,
			stream: false,
			store: false,
			logprobs: false,
			top_logprobs: 0,
			frequency_penalty: 0,
			presence_penalty: 0,
			parallel_tool_calls: false,
			tool_choice: "none",
			response_format: { type: "text" },
			modalities: ["text"],
			reasoning_effort: "none",
			service_tier: "auto",
		});
		expect(heard(worker)).toEqual([user(image, text("Hello"))]);
	});

	it.each([false, 0])("pass over %j alike", async (none) => {
		const worker = fakeWorker({ tokens: words(3) });
		const account = await newAccount(CREDIT);
		const names =
			"audio best_of cache echo functions logit_bias logprobs metadata min_p " +
			"num_beams parallel_tool_calls presence_penalty reasoning response_format " +
			"stop store stream thinking tools top_k top_logprobs web_search_options";
		await told(account, {
			prompt: "Hello",
			top_p: 0,
			...Object.fromEntries(names.split(" ").map((name) => [name, none])),
		});
		expect(heard(worker)).toEqual([user(text("Hello"))]);
		expect(worker.requests[0]).toMatchObject({ top_p: 1e-6 });
	});

	it("take an answer back in OpenAI's own parts", async () => {
		const worker = fakeWorker({ tokens: words(3) });
		const account = await newAccount(CREDIT);
		const parts = [
			{ type: "thinking", thinking: "Hm" },
			{ type: "output_text", text: "A cat.", annotations: [] },
		];
		const refused = [{ type: "refusal", refusal: "No." }];
		const messages = [
			{ role: "assistant", content: parts },
			{ role: "assistant", content: refused },
			user(text("And?")),
		];
		await told(account, { messages });
		expect(heard(worker)).toEqual([
			says("A cat."),
			says("No."),
			user(text("And?")),
		]);
	});

	it("take an answer back with what clients attach to it, and turns without a text", async () => {
		const worker = fakeWorker({ tokens: words(3) });
		const account = await newAccount(CREDIT);
		const messages = [
			{ role: "system", content: null },
			{ ...user({ ...text("x"), annotations: [] }), id: "msg_1", name: null },
			{
				...says("A cat."),
				id: "chatcmpl-1",
				refusal: null,
				annotations: null,
				audio: null,
				function_call: null,
				tool_calls: [],
				images: [],
				provider_specific_fields: { refusal: null },
				reasoning_content: "It has whiskers.",
				reasoning: "Hm",
			},
			{ role: "assistant", content: [] },
			user(text("And?")),
		];
		const key = { "Idempotency-Key": "one" };
		const send = () =>
			call(account, "", { body: { messages }, headers: { ...key } });
		const { id } = await (await send()).json<Wire>();
		await ended(account, id);
		expect(heard(worker)).toEqual([
			{ role: "system", content: [text("")] },
			user(text("x")),
			says("A cat."),
			says(""),
			user(text("And?")),
		]);
		// It is one request with what came along: byte for byte the same is the same job.
		expect(await (await send()).json()).toMatchObject({ id });
		const other = await call(account, "", {
			body: { messages, stop: null },
			headers: { ...key },
		});
		expect(await refusal(other)).toEqual([409, "idempotency_conflict"]);
	});

	it.each([
		["prompt", { prompt: "" }],
		["prompt", { prompt: null, images: null }],
		["n", { prompt: "x", n: 2 }],
		["stream", { prompt: "x", stream: true }],
		["tools", { prompt: "x", tools: [{ type: "function" }] }],
		["nonsense", { prompt: "x", nonsense: true }],
		["n", { prompt: "x", n: 0 }],
		["web_search_options", { prompt: "x", web_search_options: {} }],
		["top_p", { prompt: "x", top_p: -0.1 }],
		["max_tokens", { prompt: "x", max_tokens: 0 }],
		[
			"messages[0].refusal",
			{ messages: [{ ...says("x"), refusal: "No." }, user(text("x"))] },
		],
		["messages[0].content", { messages: [{ role: "user", content: null }] }],
		["webhook.events", { prompt: "x", webhook: { url: "x", events: [] } }],
		["prompt", { prompt: "x", messages: [user(text("x"))] }],
		["prompt", { images: [] }],
		["images", { task: "describe" }],
		["task", { task: "describe", previous_job: "01JD8Z6Q3V9Y4K2M7N5P8R1S3T" }],
		["messages", { messages: [] }],
		["messages[0].role", { messages: [says("Hello")] }],
		["messages[0].role", { messages: [{ role: "tool", content: "x" }] }],
		[
			"messages[1].role",
			{ messages: [user(text("x")), { role: "system", content: "x" }] },
		],
		["messages[0].content[1]", { messages: [user(text("x"), image)] }],
		[
			"messages[0].content[0]",
			{
				images: [{ url: PNG }],
				messages: [{ role: "assistant", content: [image] }, user(text("x"))],
			},
		],
		["previous_job", { prompt: "x", previous_job: "x" }],
		[
			"messages",
			{
				messages: Array.from({ length: 9 }, () =>
					user(text("x".repeat(32_000))),
				),
			},
		],
	])(
		"are refused by the name %s where they cannot be right",
		async (field, body) => {
			fakeWorker({ tokens: [] });
			const account = await newAccount(CREDIT);
			expect(await refusal(await call(account, "", { body }))).toEqual([
				400,
				"invalid_request",
				field,
			]);
			expect(await money(account)).toEqual({ available: CREDIT, held: 0 });
		},
	);

	it("fit where what must stay fits: the worker drops only the oldest turns", async () => {
		fakeWorker({ tokens: words(3) });
		const account = await newAccount(CREDIT);
		const long = "a b c d e f g h ".repeat(1_000);
		const tooLong = async (messages: object[]) =>
			refusal(await call(account, "", { body: { messages } }));
		for (const messages of [
			[user(text("Hello")), says("Hi"), user(text(long))],
			[{ role: "system", content: long }, user(text("Hello"))],
		])
			expect(await tooLong(messages)).toEqual([
				400,
				"context_length_exceeded",
				"messages",
			]);
		const fits = await call(account, "", {
			body: { messages: [user(text(long)), says("Hi"), user(text("Hello"))] },
		});
		expect(fits.status).toBe(202);
	});

	it("are covered by the body's hash", async () => {
		fakeWorker({ tokens: words(3) });
		const account = await newAccount(CREDIT);
		const key = { "Idempotency-Key": "one" };
		const messages = (system: string) => ({
			messages: [{ role: "system", content: system }, user(text("Hello"))],
		});
		const { id } = await told(account, messages("One"), key);
		expect(await told(account, messages("One"), key)).toMatchObject({ id });
		const other = await call(account, "", {
			body: messages("Two"),
			headers: key,
		});
		expect(await refusal(other)).toEqual([409, "idempotency_conflict"]);
	});
});

describe("`previous_job`", () => {
	it("goes on from the whole conversation with its images, and nothing is sent again", async () => {
		const worker = fakeWorker({ tokens: words(3) });
		const account = await newAccount(CREDIT);
		const first = await told(account, JOB_REQUEST);
		const second = await told(account, {
			prompt: "Which colour?",
			previous_job: first.id,
		});
		expect(heard(worker)).toEqual([
			user(image, text("What is this?")),
			says(),
			user(text("Which colour?")),
		]);
		expect(second.images).toEqual(first.images);
		expect(second.usage.images).toBe(1);
		const third = await told(account, {
			images: [{ url: PNG }],
			messages: [user(text("And this one?"), image)],
			previous_job: second.id,
		});
		expect(heard(worker)).toEqual([
			user(image, text("What is this?")),
			says(),
			user(text("Which colour?")),
			says(),
			user(text("And this one?"), image),
		]);
		expect(third.images).toHaveLength(2);
		expect(third.images[0]).toEqual(first.images[0]);
		const ids = worker.requests.map(({ images }) => images[0]?.id);
		expect(new Set(ids).size).toBe(1);
		expect(objectsOf(account)).toHaveLength(2);
		const prices = [first, second, third].map(({ price }) => price);
		expect(prices).toEqual([...prices].sort((a, b) => a - b));
		expect(await money(account)).toEqual({
			available: CREDIT - prices.reduce((sum, price) => sum + price),
			held: 0,
		});
	});

	it("is of the same model where none is named, at that model's price", async () => {
		fakeWorker({ tokens: words(3) });
		const worker = fakeWorker({ tokens: words(3) }, "vicuna-7b");
		const account = await newAccount(CREDIT);
		const first = await told(account, { ...JOB_REQUEST, model: "vicuna-7b" });
		const before = await money(account);
		const second = await told(account, {
			prompt: "Which colour?",
			previous_job: first.id,
		});
		expect(second.model).toBe("vicuna-7b");
		const { prompt_tokens, output_tokens, images } = second.usage;
		expect(second.price).toBe(5 * (prompt_tokens + output_tokens + images));
		expect(worker.requests).toHaveLength(2);
		expect((await money(account)).available).toBe(
			before.available - second.price,
		);
		const other = await told(account, {
			prompt: "Which colour?",
			previous_job: first.id,
			model: "nano",
		});
		expect(other.model).toBe("nano");
	});

	it("keeps the images that came along while any job of the conversation lives", async () => {
		const worker = fakeWorker({ tokens: words(3) });
		const account = await newAccount(CREDIT);
		const first = await told(account, JOB_REQUEST);
		const go = (previous_job: string) =>
			told(account, { prompt: "And?", previous_job });
		const second = await go(first.id);
		await deleted(account, first.id);
		expect(objectsOf(account)).toHaveLength(1);
		const third = await go(second.id);
		await deleted(account, second.id);
		expect(objectsOf(account)).toHaveLength(1);
		expect(heard(worker)).toEqual([
			user(image, text("What is this?")),
			says(),
			user(text("And?")),
			says(),
			user(text("And?")),
		]);
		expect((await go(third.id)).status).toBe("succeeded");
		// All that are left expire.
		for (let rings = 0; rings < 3; rings++)
			await ringAfter(account, 8 * DAY).catch(() => {});
		expect(objectsOf(account)).toEqual([]);
	});

	it("keeps them also while the later job still waits", async () => {
		const hold = gate();
		const worker = fakeWorker((prompt) => ({
			tokens: words(3),
			...(prompt.includes("And?") && { gate: () => hold.opened }),
		}));
		const account = await newAccount(CREDIT);
		const first = await told(account, JOB_REQUEST);
		const second: Wire = await (
			await call(account, "", {
				body: { prompt: "And?", previous_job: first.id },
			})
		).json();
		await deleted(account, first.id);
		expect(objectsOf(account)).toHaveLength(1);
		hold.open();
		expect(await ended(account, second.id)).toMatchObject({
			status: "succeeded",
			images: first.images,
		});
		expect(worker.requests).toHaveLength(2);
		await deleted(account, second.id);
		expect(objectsOf(account)).toEqual([]);
	});

	it("says so where an image was deleted meanwhile", async () => {
		fakeWorker({ tokens: words(3) });
		const account = await newAccount(CREDIT);
		const upload = await uploaded(account);
		const { id } = await told(account, {
			...JOB_REQUEST,
			images: [{ upload }],
		});
		const body = { prompt: "And?", previous_job: id };
		expect((await told(account, body)).status).toBe("succeeded");
		await account.stub.deleteUpload(account.credential, upload);
		expect(await refusal(await call(account, "", { body }))).toEqual([
			410,
			"image_gone",
			"previous_job",
		]);
	});

	it("is refused where that job is no base for it; nothing is charged or kept", async () => {
		const hold = gate();
		fakeWorker((prompt) => ({
			tokens: words(3),
			...(prompt.includes("wait") && { gate: () => hold.opened }),
			...(prompt.includes("fail") && {
				faults: { 1: { error: "invalid_request" as const } },
			}),
		}));
		const [account, other] = [
			await newAccount(CREDIT),
			await newAccount(CREDIT),
		];
		const stranger = await told(other, JOB_REQUEST);
		const failedJob = await told(account, { ...JOB_REQUEST, prompt: "fail" });
		expect(failedJob.status).toBe("failed");
		const gone = await told(account, JOB_REQUEST);
		await deleted(account, gone.id);
		const waits: Wire = await (
			await create(account, { prompt: "wait" })
		).json();
		const before = await money(account);
		for (const [id, refused] of [
			["01JD8Z6Q3V9Y4K2M7N5P8R1S3T", [404, "job_not_found"]],
			[stranger.id, [404, "job_not_found"]],
			[waits.id, [409, "previous_job_unfinished"]],
			[failedJob.id, [409, "previous_job_failed"]],
			[gone.id, [410, "job_gone"]],
		] as const)
			expect(
				await refusal(await create(account, { previous_job: id })),
			).toEqual([...refused, "previous_job"]);
		expect(await money(account)).toEqual(before);
		expect(objectsOf(account)).toHaveLength(2);
		hold.open();
		await ended(account, waits.id);
	});

	it("of a canceled job goes on from what it had said", async () => {
		const hold = gate();
		const worker = fakeWorker((prompt) => ({
			tokens: words(3),
			...(!prompt.includes("And?") && {
				gate: (n: number) => (n === 2 ? hold.opened : undefined),
			}),
		}));
		const account = await newAccount(CREDIT);
		const { id }: Wire = await (await create(account)).json();
		await eventually(async () => {
			const job: Wire = await (await call(account, `/${id}`)).json();
			expect(job.output.text).toBe(words(2).join(""));
		});
		await call(account, `/${id}/cancel`, { method: "POST" });
		hold.open();
		await told(account, { prompt: "And?", previous_job: id });
		expect(heard(worker)?.[1]).toEqual(says(words(2).join("")));
	});

	it("of more images than the model takes is refused by name", async () => {
		fakeWorker({ tokens: words(3) });
		const account = await newAccount(CREDIT);
		const images = Array.from({ length: 3 }, () => ({ url: PNG }));
		const { id } = await told(account, { ...JOB_REQUEST, images });
		const more = { prompt: "And?", previous_job: id };
		expect(
			await refusal(
				await call(account, "", { body: { ...more, images: images.slice(1) } }),
			),
		).toEqual([400, "invalid_request", "images"]);
		expect(
			(await told(account, { ...more, images: images.slice(2) })).images,
		).toHaveLength(4);
	});

	it("is part of the name's request, and a repeat answers also when that job is gone", async () => {
		fakeWorker({ tokens: words(3) });
		const account = await newAccount(CREDIT);
		const [one, two] = [
			await told(account, JOB_REQUEST),
			await told(account, JOB_REQUEST),
		];
		const send = (previous_job: string) =>
			call(account, "", {
				body: { ...JOB_REQUEST, prompt: "And?", previous_job },
				headers: { "Idempotency-Key": "and" },
			});
		const { id }: Wire = await (await send(one.id)).json();
		const job = await ended(account, id);
		expect(await refusal(await send(two.id))).toEqual([
			409,
			"idempotency_conflict",
		]);
		await deleted(account, one.id);
		const again = await send(one.id);
		expect(again.headers.get("Idempotent-Replayed")).toBe("true");
		expect(await again.json()).toEqual(job);
	});

	it("starts on a repeat where the first try died between admission and start", async () => {
		const worker = fakeWorker({ tokens: words(3) });
		const account = await newAccount(CREDIT);
		const first = await told(account, JOB_REQUEST);
		const send = () =>
			call(account, "", {
				body: { prompt: "And?", previous_job: first.id },
				headers: { "Idempotency-Key": "and", Prefer: "wait=10" },
			});
		vi.spyOn(Job.prototype, "start").mockImplementationOnce(() => {
			throw new Error("the edge died here");
		});
		expect((await send()).status).toBe(500);
		expect(await (await send()).json()).toMatchObject({
			status: "succeeded",
			images: first.images,
		});
		expect(heard(worker)).toHaveLength(3);
	});
});
