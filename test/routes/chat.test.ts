import { describe, expect, it } from "vitest";
import { newAccount } from "../support/account.ts";
import { call, ended, PNG, type Wire } from "../support/calls.ts";
import { edge } from "../support/edge.ts";
import { eventually } from "../support/eventually.ts";
import { fakeWorker, gate, money, paid, words } from "../support/jobs.ts";

const CREDIT = 50_000;
const ANSWER = words(3).join("");
const ask = [{ role: "user", content: "What is this?" }];
const imageUrl = (url: string) => ({ type: "image_url", image_url: { url } });
const text = (text: string) => ({ type: "text", text });

const complete = (
	account: { key: string } | null,
	body: object,
	headers: Record<string, string> = {},
	signal?: AbortSignal,
): Promise<Response> =>
	edge.fetch("http://edge.test/v1/chat/completions", {
		method: "POST",
		headers: {
			"Content-Type": "application/json",
			...(account && { Authorization: `Bearer ${account.key}` }),
			...headers,
		},
		body: JSON.stringify({ model: "nano", messages: ask, ...body }),
		...(signal && { signal }),
	});

/** The data of each event, `[DONE]` as text. */
async function chunksOf(response: Response): Promise<Wire[]> {
	const body = await response.text();
	return body
		.replaceAll(": ping\n", "")
		.split("\n\n")
		.flatMap((frame) => (frame.startsWith("data: ") ? [frame.slice(6)] : []))
		.map((data) => (data === "[DONE]" ? data : JSON.parse(data)));
}

/** Status, and the error object without its words. */
async function refusal(response: Response): Promise<unknown[]> {
	const { error } = await response.json<Wire>();
	expect(error.message.length).toBeGreaterThan(10);
	return [response.status, error.type, error.code, error.param];
}

const jobOf = (response: Response): string =>
	response.headers.get("X-Job-Id") as string;

describe("a completion", () => {
	it("has OpenAI's shape, and is a job that is paid for once", async () => {
		fakeWorker({ tokens: words(3) });
		const account = await newAccount(CREDIT);
		const response = await complete(account, { metadata: { order: "7" } });
		expect(response.status).toBe(200);
		const id = jobOf(response);
		const job = await ended(account, id);
		expect(await response.json()).toEqual({
			id: `chatcmpl-${id}`,
			object: "chat.completion",
			created: Math.floor(Date.parse(job.created_at) / 1000),
			model: "nano",
			choices: [
				{
					index: 0,
					message: { role: "assistant", content: ANSWER, refusal: null },
					logprobs: null,
					finish_reason: "stop",
				},
			],
			usage: {
				prompt_tokens: 13,
				completion_tokens: 3,
				total_tokens: 16,
				...paid(3),
			},
		});
		expect(job).toMatchObject({
			status: "succeeded",
			output: { text: ANSWER },
			metadata: { order: "7" },
			...paid(3),
		});
		expect(await money(account)).toEqual({ available: CREDIT - 16, held: 0 });
		expect(response.headers.get("RateLimit")).toContain("requests");
	});

	it("streams a role, the text, why it ended, the usage if asked for; then [DONE]", async () => {
		fakeWorker({ tokens: words(3) });
		const account = await newAccount(CREDIT);
		for (const include_usage of [undefined, false, true]) {
			const response = await complete(account, {
				stream: true,
				...(include_usage !== undefined && {
					stream_options: { include_usage },
				}),
			});
			expect(response.headers.get("Content-Type")).toMatch(
				/^text\/event-stream/,
			);
			const chunks = await chunksOf(response);
			expect(chunks.pop()).toBe("[DONE]");
			if (include_usage)
				expect(chunks.pop()).toMatchObject({
					choices: [],
					usage: { prompt_tokens: 13, completion_tokens: 3, total_tokens: 16 },
				});
			for (const chunk of chunks) {
				expect(chunk).toMatchObject({
					id: `chatcmpl-${jobOf(response)}`,
					object: "chat.completion.chunk",
					model: "nano",
					created: expect.any(Number),
				});
				expect(chunk.usage).toBe(include_usage ? null : undefined);
			}
			const choices = chunks.map(({ choices }: Wire) => choices[0]);
			expect(choices[0]).toEqual({
				index: 0,
				delta: { role: "assistant", content: "", refusal: null },
				logprobs: null,
				finish_reason: null,
			});
			expect(choices.at(-1)).toEqual({
				index: 0,
				delta: {},
				logprobs: null,
				finish_reason: "stop",
			});
			const middle = choices.slice(1, -1);
			expect(middle.map(({ delta }: Wire) => delta.content).join("")).toBe(
				ANSWER,
			);
			for (const { finish_reason, delta } of middle) {
				expect(finish_reason).toBe(null);
				expect(Object.keys(delta)).toEqual(["content"]);
			}
		}
	});

	it("reads several images from wherever they are, and turns, in their order", async () => {
		const worker = fakeWorker({ tokens: words(3) });
		const account = await newAccount(CREDIT);
		const [, photo] = PNG.split(",") as [string, string];
		const form = new FormData();
		form.set("purpose", "vision");
		form.set("file", new File([Uint8Array.fromBase64(photo)], "red.png"));
		const { id: file } = await (
			await edge.fetch("http://edge.test/v1/files", {
				method: "POST",
				headers: { Authorization: `Bearer ${account.key}` },
				body: form,
			})
		).json<Wire>();
		const response = await complete(account, {
			messages: [
				{ role: "developer", content: "Be brief." },
				{
					role: "user",
					content: [text("One:"), imageUrl(PNG), imageUrl(file)],
				},
				{ role: "assistant", content: "A square.", refusal: null },
				{
					role: "user",
					content: [{ type: "file", file: { file_id: file } }, text("And?")],
				},
			],
		});
		expect(response.status).toBe(200);
		expect(worker.requests[0]?.messages).toEqual([
			{ role: "system", content: [text("Be brief.")] },
			{
				role: "user",
				content: [text("One:"), { type: "image" }, { type: "image" }],
			},
			{ role: "assistant", content: [text("A square.")] },
			{ role: "user", content: [{ type: "image" }, text("And?")] },
		]);
		const urls = worker.requests[0]?.images.map(({ url }) => url) ?? [];
		expect(urls.map((url) => url?.includes(file))).toEqual([false, true, true]);
		expect((await ended(account, jobOf(response))).images).toHaveLength(3);
	});

	it("passes on what OpenAI's parameters ask for, and leaves room for the rest", async () => {
		const worker = fakeWorker({ tokens: words(30) });
		const account = await newAccount(CREDIT);
		const asked = await complete(account, {
			max_tokens: 99,
			max_completion_tokens: 5,
			temperature: 0,
			top_p: 0.5,
			seed: 7,
			stop: null,
			n: 1,
			user: "someone",
			frequency_penalty: 0,
			presence_penalty: 0,
			logprobs: false,
			response_format: { type: "text" },
			tools: [],
			tool_choice: "none",
			store: false,
			logit_bias: null,
			parallel_tool_calls: null,
		});
		expect((await asked.json<Wire>()).choices[0].finish_reason).toBe("length");
		expect(worker.requests[0]).toMatchObject({
			max_tokens: 5,
			temperature: 0,
			top_p: 0.5,
			seed: 7,
		});
		await complete(account, { stop: [" word2", "x"] });
		// A quarter of nano's context.
		expect(worker.requests[1]).toMatchObject({ max_tokens: 512 });
		const stopped = await complete(account, { stop: " word2", max_tokens: 9 });
		expect((await stopped.json<Wire>()).choices[0]).toMatchObject({
			message: { content: " word0 word1" },
			finish_reason: "stop",
		});
		const far = await complete(account, { max_tokens: 100_000 });
		expect(far.status).toBe(200);
	});

	it.each([[null], [""], [[]], [{}]])(
		"passes over what is empty (%j), by whatever name it comes",
		async (empty) => {
			const worker = fakeWorker({ tokens: words(3) });
			const account = await newAccount(CREDIT);
			const names =
				"audio frequency_penalty function_call functions logit_bias logprobs " +
				"max_completion_tokens max_tokens metadata modalities moderation n " +
				"parallel_tool_calls prediction presence_penalty prompt_cache_key " +
				"prompt_cache_options prompt_cache_retention reasoning_effort response_format " +
				"safety_identifier seed service_tier stop store stream stream_options " +
				"temperature tool_choice tools top_logprobs top_p user verbosity extra_body " +
				"thinking";
			const response = await complete(
				account,
				Object.fromEntries(names.split(" ").map((name) => [name, empty])),
			);
			expect(response.status).toBe(200);
			expect(worker.requests[0]).toMatchObject({ temperature: 1, top_p: 0.9 });
		},
	);

	it.each([
		{ n: 1, top_logprobs: 0, logprobs: false, store: false },
		{ parallel_tool_calls: false, tool_choice: "none", function_call: "none" },
		{ frequency_penalty: 0, presence_penalty: 0, logit_bias: {} },
		{ reasoning_effort: "none", verbosity: "medium", service_tier: "auto" },
		{ response_format: { type: "text", json_schema: null } },
		{ modalities: ["text"], audio: null, web_search_options: null },
		{ stream: false, stream_options: { include_usage: false } },
		{ stream: null, stream_options: { include_usage: null, other: null } },
		{ web_search_options: "" },
		{ web_search_options: [] },
	])("passes over the value that means none: %j", async (body) => {
		fakeWorker({ tokens: words(3) });
		const account = await newAccount(CREDIT);
		expect((await complete(account, body)).status).toBe(200);
	});

	it.each([false, 0])(
		"passes over %j, whatever does not have it as a value of its own",
		async (none) => {
			const worker = fakeWorker({ tokens: words(3) });
			const account = await newAccount(CREDIT);
			const names =
				"audio best_of cache chat_template_kwargs echo frequency_penalty function_call " +
				"functions logit_bias logprobs metadata min_p modalities moderation options " +
				"parallel_tool_calls prediction presence_penalty prompt_cache_key " +
				"prompt_cache_options prompt_cache_retention reasoning reasoning_effort " +
				"response_format safety_identifier service_tier stop store stream " +
				"stream_options thinking tool_choice tools top_k top_logprobs user verbosity " +
				"web_search_options";
			const body = Object.fromEntries(
				names.split(" ").map((name) => [name, none]),
			);
			const response = await complete(account, body);
			expect([response.status, worker.requests[0]]).toMatchObject([
				200,
				{ temperature: 1, top_p: 0.9 },
			]);
		},
	);

	it("takes a top_p of 0 for the likeliest token alone", async () => {
		const worker = fakeWorker({ tokens: words(3) });
		const account = await newAccount(CREDIT);
		expect((await complete(account, { top_p: 0 })).status).toBe(200);
		expect(worker.requests[0]).toMatchObject({ top_p: 1e-6 });
	});

	it.each([
		[[{ type: "refusal", refusal: "I see none." }], "I see none."],
		[[{ type: "output_text", text: "A cat.", annotations: [{}] }], "A cat."],
		[[{ type: "thinking", thinking: "Hm", signature: "x" }, text("A")], "A"],
		[[{ type: "reasoning", summary: [] }, text("A")], "A"],
		[[{ type: "redacted_thinking", data: "x" }], ""],
		[[{ type: "refusal", refusal: null }], ""],
	])("takes an answer back in its own parts: %j", async (content, said) => {
		const worker = fakeWorker({ tokens: words(3) });
		const account = await newAccount(CREDIT);
		const messages = [...ask, { role: "assistant", content }, ...ask];
		const key = { "Idempotency-Key": "parts" };
		const response = await complete(account, { messages }, key);
		expect(response.status).toBe(200);
		expect(worker.requests[0]?.messages?.[1]).toEqual({
			role: "assistant",
			content: [text(said)],
		});
		// What it said is part of what is asked.
		const other = [{ type: "refusal", refusal: "Another." }];
		messages[1] = { role: "assistant", content: other } as never;
		expect((await complete(account, { messages }, key)).status).toBe(409);
	});

	it.each(["refusal", "output_text", "thinking", "reasoning"])(
		"takes such a part (%s) from no user",
		async (type) => {
			const account = await newAccount(CREDIT);
			const content = [{ type, [type]: "x", text: "x" }];
			const messages = [{ role: "user", content }];
			expect((await complete(account, { messages })).status).toBe(400);
		},
	);

	it.each([
		["OpenAI's", { refusal: null, annotations: null, audio: null }],
		[
			"OpenAI's older",
			{ function_call: null, tool_calls: [], annotations: [] },
		],
		[
			"LiteLLM's",
			{
				id: "chatcmpl-1",
				provider_specific_fields: { refusal: null, reasoning: "Hm" },
				reasoning_content: "A cat has whiskers.",
				thinking_blocks: [{ type: "thinking", thinking: "Hm" }],
				images: [],
				tool_calls: null,
			},
		],
		[
			"OpenRouter's",
			{ reasoning: "Hm", reasoning_details: [{ type: "reasoning.text" }] },
		],
		["a typed client's", { name: null, parsed: null, refusal: "", x: {} }],
	])("takes its own answer back with %s attachments", async (_, attached) => {
		const worker = fakeWorker({ tokens: words(3) });
		const account = await newAccount(CREDIT);
		const first = await (await complete(account, {})).json<Wire>();
		const { message } = first.choices[0];
		const sent = {
			messages: [
				...ask,
				{ ...message, ...attached },
				{ role: "user", content: "And?", id: "msg_1", name: null },
			],
		};
		const key = { "Idempotency-Key": "one" };
		const next = await complete(account, sent, key);
		expect(next.status).toBe(200);
		expect(worker.requests[1]?.messages).toEqual([
			{ role: "user", content: [text("What is this?")] },
			{ role: "assistant", content: [text(ANSWER)] },
			{ role: "user", content: [text("And?")] },
		]);
		// It is one request with what came along: byte for byte the same is the same job.
		const again = await complete(account, sent, key);
		expect(again.headers.get("Idempotent-Replayed")).toBe("true");
		expect(worker.requests).toHaveLength(2);
	});

	it("may hold turns without a text, and parts with nothing beside theirs", async () => {
		const worker = fakeWorker({ tokens: words(3) });
		const account = await newAccount(CREDIT);
		const response = await complete(account, {
			messages: [
				{ role: "system", content: null },
				{ role: "user", content: [{ ...text("x"), annotations: [] }] },
				{ role: "assistant", content: null, tool_calls: [] },
				{ role: "assistant", refusal: null },
				{ role: "assistant", content: [] },
				{
					role: "user",
					content: [
						{
							type: "image_url",
							image_url: { url: PNG, detail: null, format: null },
							cache_control: null,
						},
						{
							type: "file",
							file: { file_data: PNG, file_id: null, filename: "" },
						},
						text(""),
					],
				},
			],
		});
		expect(response.status).toBe(200);
		expect(worker.requests[0]?.messages?.map(({ content }) => content)).toEqual(
			[
				[text("")],
				[text("x")],
				[text("")],
				[text("")],
				[text("")],
				[{ type: "image" }, { type: "image" }, text("")],
			],
		);
	});

	it.each([
		["n", { n: 2 }],
		["n", { n: 0 }],
		["parallel_tool_calls", { parallel_tool_calls: true }],
		["tool_choice", { tool_choice: "required" }],
		["function_call", { function_call: { name: "x" } }],
		["modalities[1]", { modalities: ["text", "audio"] }],
		["audio", { audio: { format: "wav", voice: "ash" } }],
		["prediction", { prediction: { type: "content", content: "x" } }],
		["verbosity", { verbosity: "low" }],
		["web_search_options", { web_search_options: {} }],
		["moderation", { moderation: { model: "x" } }],
		["service_tier", { service_tier: "flex" }],
		["extra_body", { extra_body: { x: 1 } }],
		["model", { model: "" }],
		...Object.entries({
			name: "Ann",
			refusal: "No.",
			tool_calls: [{ id: "1", type: "function" }],
			function_call: { name: "x" },
			annotations: [{ type: "url_citation" }],
			images: [{ url: PNG }],
			audio: { id: "1" },
		}).map(([name, value]): [string, object] => [
			`messages[1].${name}`,
			{
				messages: [
					...ask,
					{ role: "assistant", content: "x", [name]: value },
					...ask,
				],
			},
		]),
		["messages[0].content", { messages: [{ role: "user", content: null }] }],
		["logprobs", { logprobs: true }],
		["top_logprobs", { top_logprobs: 2 }],
		["response_format.type", { response_format: { type: "json_object" } }],
		["tools", { tools: [{ type: "function", function: { name: "x" } }] }],
		["tool_choice", { tool_choice: "auto" }],
		["functions", { functions: [{ name: "x" }] }],
		["logit_bias", { logit_bias: { 1: 1 } }],
		["frequency_penalty", { frequency_penalty: 0.5 }],
		["presence_penalty", { presence_penalty: 1 }],
		["store", { store: true }],
		["reasoning_effort", { reasoning_effort: "low" }],
		["stream_options", { stream_options: { include_usage: true } }],
		["stop", { stop: ["a", "b", "c", "d", "e"] }],
		["temperature", { temperature: 3 }],
		["max_tokens", { max_tokens: 0 }],
		["nonsense", { nonsense: 1 }],
		["messages", { messages: [] }],
		["messages[0].role", { messages: [{ role: "assistant", content: "x" }] }],
		["messages[0].role", { messages: [{ role: "tool", content: "x" }] }],
		[
			"messages[0].content[0].type",
			{
				messages: [
					{
						role: "user",
						content: [{ type: "input_audio", input_audio: {} }],
					},
				],
			},
		],
		[
			"messages[0].content[1].image_url",
			{
				messages: [
					{
						role: "user",
						content: [text("x"), { type: "image_url", image_url: "x" }],
					},
				],
			},
		],
		[
			"messages",
			{
				messages: [
					{
						role: "user",
						content: Array.from({ length: 5 }, () => imageUrl(PNG)),
					},
				],
			},
		],
	])(
		"that asks for what there is not is refused and names %s",
		async (param, body) => {
			fakeWorker({ tokens: words(3) });
			const account = await newAccount(CREDIT);
			expect(await refusal(await complete(account, body))).toEqual([
				400,
				"invalid_request_error",
				"invalid_request",
				param,
			]);
			expect(await money(account)).toEqual({ available: CREDIT, held: 0 });
		},
	);

	it("whose image is wrong names its part", async () => {
		fakeWorker({ tokens: words(3) });
		const account = await newAccount(CREDIT);
		const seen = async (...content: object[]) =>
			refusal(
				await complete(account, { messages: [{ role: "user", content }] }),
			);
		const url = "messages[0].content[1].image_url.url";
		expect(
			await seen(text("x"), imageUrl("data:image/png;base64,aaaa")),
		).toEqual([422, "invalid_request_error", "image_type_unsupported", url]);
		expect(await seen(text("x"), imageUrl("http://x.example/y.png"))).toEqual([
			422,
			"invalid_request_error",
			"url_refused",
			url,
		]);
		expect(
			await seen(text("x"), imageUrl("img_01JD8Z6Q3V9Y4K2M7N5P8R1S3T")),
		).toEqual([404, "invalid_request_error", "upload_not_found", url]);
		expect(await seen({ type: "file", file: { file_id: "file-abc" } })).toEqual(
			[
				404,
				"invalid_request_error",
				"upload_not_found",
				"messages[0].content[0].file.file_id",
			],
		);
	});

	it("that fails before it speaks has the failure's status and costs nothing", async () => {
		fakeWorker({
			tokens: words(3),
			faults: { 1: { error: "image_undecodable", field: "images[0]" } },
		});
		const account = await newAccount(CREDIT);
		const messages = [{ role: "user", content: [text("x"), imageUrl(PNG)] }];
		for (const stream of [true, false])
			expect(
				await refusal(await complete(account, { messages, stream })),
			).toEqual([
				422,
				"invalid_request_error",
				"image_undecodable",
				"messages[0].content[1].image_url.url",
			]);
		expect(await money(account)).toEqual({ available: CREDIT, held: 0 });
	});

	it("that fails in mid-stream ends with an error object and without [DONE]", async () => {
		const hold = gate();
		fakeWorker({
			tokens: words(9),
			gate: (n) => (n === 2 ? hold.opened : undefined),
			faults: { 1: { error: "invalid_request", after: 2 } },
		});
		const account = await newAccount(CREDIT);
		const response = await complete(account, { stream: true });
		expect(response.status).toBe(200);
		hold.open();
		const chunks = await chunksOf(response);
		expect(chunks.at(-1)).toEqual({
			error: {
				message: expect.any(String),
				type: "invalid_request_error",
				param: null,
				code: "invalid_request",
			},
		});
		expect(chunks.length).toBeGreaterThan(2);
		expect(await money(account)).toEqual({ available: CREDIT, held: 0 });
	});

	it("under an Idempotency-Key runs once; a repeat answers the same, streamed or not", async () => {
		const worker = fakeWorker({ tokens: words(3) });
		const account = await newAccount(CREDIT);
		const key = { "Idempotency-Key": "one" };
		const messages = [{ role: "user", content: [text("x"), imageUrl(PNG)] }];
		const first = await complete(account, { messages }, key);
		const answer = await first.json<Wire>();
		const again = await complete(account, { messages, stream: false }, key);
		expect(await again.json()).toEqual(answer);
		expect(again.headers.get("Idempotent-Replayed")).toBe("true");
		const streamed = await complete(account, { messages, stream: true }, key);
		const chunks = (await chunksOf(streamed)).slice(0, -1);
		expect(
			chunks.map(({ choices }) => choices[0].delta.content ?? "").join(""),
		).toBe(ANSWER);
		expect(chunks[0].id).toBe(answer.id);
		expect(worker.requests).toHaveLength(1);
		for (const other of [
			{ messages, seed: 1 },
			{ messages: [{ role: "user", content: [text("y"), imageUrl(PNG)] }] },
			{ messages: [{ role: "user", content: [imageUrl(PNG), text("x")] }] },
		]) {
			const refused = await complete(account, other, key);
			expect(refused.headers.get("x-should-retry")).toBe("false");
			expect(await refusal(refused)).toEqual([
				409,
				"invalid_request_error",
				"idempotency_conflict",
				null,
			]);
		}
		expect(await money(account)).toEqual({ available: CREDIT - 12, held: 0 });
	});

	it.each([true, false])(
		"that is hung up on is canceled (streamed: %s)",
		async (stream) => {
			const hold = gate();
			fakeWorker({
				tokens: words(5),
				gate: (n) => (n === 2 ? hold.opened : undefined),
			});
			const account = await newAccount(CREDIT);
			const left = new AbortController();
			const response = complete(account, { stream }, {}, left.signal).catch(
				() => null,
			);
			const id = await eventually(async () => {
				const { data } = await (await call(account, "")).json<Wire>();
				expect(data).toHaveLength(1);
				expect(
					(await (await call(account, `/${data[0].id}`)).json<Wire>()).output
						.text,
				).toBe(words(2).join(""));
				return data[0].id as string;
			});
			if (stream) await (await response)?.body?.cancel();
			left.abort();
			const leftAt = Date.now();
			const job = await ended(account, id);
			expect(job).toMatchObject({ status: "canceled", ...paid(2) });
			expect(Date.parse(job.finished_at) - leftAt).toBeLessThan(2_500);
			hold.open();
			expect((await money(account)).held).toBe(0);
		},
	);

	it.each([true, false])(
		"begins a second after the call, whatever is known by then (streamed: %s)",
		async (stream) => {
			const hold = gate();
			fakeWorker({ tokens: words(3), gate: () => hold.opened });
			const account = await newAccount(CREDIT);
			const called = Date.now();
			const response = await complete(account, { stream });
			expect(Date.now() - called).toBeGreaterThan(900);
			expect(response.status).toBe(200);
			setTimeout(hold.open, 600);
			if (stream) {
				const chunks = await chunksOf(response);
				expect(chunks.at(-1)).toBe("[DONE]");
				return;
			}
			// A compressor would keep back the spaces that show whether the client is there.
			expect(response.headers.get("Content-Encoding")).toBe("identity");
			expect(response.headers.get("Cache-Control")).toContain("no-transform");
			const text = await response.text();
			expect(text).toMatch(/^ {2,}\{/);
			expect(JSON.parse(text).choices[0].message.content).toBe(ANSWER);
		},
	);

	it("that fails after it began says so in its body, and costs nothing", async () => {
		const hold = gate();
		fakeWorker({
			tokens: words(9),
			gate: (n) => (n === 2 ? hold.opened : undefined),
			faults: { 1: { error: "invalid_request", after: 3 } },
		});
		const account = await newAccount(CREDIT);
		const response = await complete(account, {});
		expect(response.status).toBe(200);
		hold.open();
		expect(await response.json()).toEqual({
			error: {
				message: expect.any(String),
				type: "invalid_request_error",
				param: null,
				code: "invalid_request",
			},
		});
		expect(await money(account)).toEqual({ available: CREDIT, held: 0 });
	});

	it("that was canceled says so to a repeat, once and for all", async () => {
		const hold = gate();
		fakeWorker({ tokens: words(5), gate: () => hold.opened });
		const account = await newAccount(CREDIT);
		const key = { "Idempotency-Key": "one" };
		const first = complete(account, {}, key);
		const id = await eventually(async () => {
			const { data } = await (await call(account, "")).json<Wire>();
			expect(data).toHaveLength(1);
			return data[0].id as string;
		});
		await call(account, `/${id}/cancel`, { method: "POST" });
		for (const response of [await first, await complete(account, {}, key)]) {
			expect(response.headers.get("x-should-retry")).toBe("false");
			expect(await refusal(response)).toEqual([
				409,
				"invalid_request_error",
				"job_canceled",
				null,
			]);
		}
		hold.open();
	});

	it("of a job that waits long begins with spaces, and ends as JSON all the same", async () => {
		for (const cancels of [false, true]) {
			const hold = gate();
			fakeWorker({
				tokens: words(3),
				gate: (n) => (n === 1 ? hold.opened : undefined),
			});
			const account = await newAccount(CREDIT);
			const response = await complete(account, {});
			expect(response.status).toBe(200);
			const reader = (response.body as ReadableStream<Uint8Array>).getReader();
			const utf8 = new TextDecoder();
			let text = "";
			let waited = false;
			for (;;) {
				const { done, value } = await reader.read();
				if (done) break;
				text += utf8.decode(value, { stream: true });
				if (waited || text.length < 3) continue;
				waited = true;
				const id = response.headers.get("X-Job-Id") as string;
				if (cancels) void call(account, `/${id}/cancel`, { method: "POST" });
				else hold.open();
			}
			expect(text).toMatch(/^ {3,}\{/);
			expect(JSON.parse(text)).toMatchObject(
				cancels
					? { error: { code: "job_canceled" } }
					: {
							object: "chat.completion",
							choices: [{ message: { content: ANSWER } }],
						},
			);
		}
	});
});

describe("an error", () => {
	it("has OpenAI's shape on OpenAI's routes, with the status their clients go by", async () => {
		fakeWorker({ tokens: words(3) });
		const account = await newAccount(0);
		const keyless = await complete(null, {});
		expect(keyless.headers.get("Content-Type")).toMatch(/^application\/json/);
		expect(keyless.headers.get("X-Request-Id")).toMatch(/^req_/);
		expect(await refusal(keyless)).toEqual([
			401,
			"authentication_error",
			"missing_key",
			null,
		]);
		expect(await refusal(await complete({ key: "sk-x" }, {}))).toEqual([
			401,
			"authentication_error",
			"invalid_key",
			null,
		]);
		expect(await refusal(await complete(account, {}))).toEqual([
			402,
			"insufficient_quota",
			"insufficient_credit",
			null,
		]);
		expect(await refusal(await complete(account, { model: "gpt-4o" }))).toEqual(
			[404, "invalid_request_error", "model_not_found", null],
		);
		const text = "a b c d e f g h ".repeat(1_000);
		expect(
			await refusal(
				await complete(account, {
					messages: [{ role: "user", content: text }],
				}),
			),
		).toEqual([
			400,
			"invalid_request_error",
			"context_length_exceeded",
			"messages",
		]);
		const get = await edge.fetch("http://edge.test/v1/chat/completions");
		expect([get.status, get.headers.get("Allow")]).toEqual([405, "POST"]);
		expect((await get.json<Wire>()).error.code).toBe("method_not_allowed");
	});

	it("of a rate says when to come back", async () => {
		fakeWorker({ tokens: words(3) });
		const hold = gate();
		fakeWorker({ tokens: words(3), gate: () => hold.opened });
		const account = await newAccount(10_000_000);
		let response: Response;
		// 600 a minute, a hundred of them at once.
		do {
			response = await edge.fetch(
				"http://edge.test/v1/files/img_01JD8Z6Q3V9Y4K2M7N5P8R1S3T",
				{
					headers: { Authorization: `Bearer ${account.key}` },
				},
			);
		} while (response.status === 404);
		expect(Number(response.headers.get("Retry-After"))).toBeGreaterThan(0);
		expect(await refusal(response)).toEqual([
			429,
			"rate_limit_error",
			"rate_limited",
			null,
		]);
		hold.open();
	});

	it("of an endpoint that is not here names the one that is", async () => {
		for (const [method, path] of [
			["POST", "/v1/responses"],
			["GET", "/v1/responses/resp_1"],
			["DELETE", "/v1/responses/resp_1"],
			["POST", "/v1/responses/resp_1/cancel"],
			["GET", "/v1/responses/resp_1/input_items"],
			["POST", "/v1/completions"],
			["POST", "/v1/embeddings"],
		] as const) {
			const response = await edge.fetch(`http://edge.test${path}`, { method });
			const { error } = await response.json<Wire>();
			expect([response.status, error.code]).toEqual([
				404,
				"unsupported_endpoint",
			]);
			expect(error.message).toContain("/v1/chat/completions");
		}
	});

	it("of a model reads well on both sides", async () => {
		const response = await edge.fetch("http://edge.test/v1/models/gpt-4o");
		expect(response.headers.get("Content-Type")).toBe(
			"application/problem+json",
		);
		expect(await response.json()).toMatchObject({
			status: 404,
			code: "model_not_found",
			error: { code: "model_not_found", type: "invalid_request_error" },
		});
	});
});
