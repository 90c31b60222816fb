/** OpenAI's own packages and the AI SDK, unchanged, against the edge with the real nano worker. */
import { execFile } from "node:child_process";
import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, generateText, streamText } from "ai";
import OpenAI, {
	APIUserAbortError,
	AuthenticationError,
	BadRequestError,
	NotFoundError,
} from "openai";
import {
	afterAll,
	afterEach,
	beforeAll,
	beforeEach,
	describe,
	expect,
	test,
} from "vitest";
import { root } from "../../scripts/paths.mjs";
import { type BreakingProxy, proxyTo } from "./breaking-proxy.ts";
import { Client } from "./client.ts";
import { type Deployment, deploy } from "./deployment.ts";

const PHOTO = join(root, "samples/cat.jpg");
const QUESTION = "What is in this picture?";
const UNKNOWN = "img_01JD8Z6Q3V9Y4K2M7N5P8R1S3T";

let deployment: Deployment;
let proxy: BreakingProxy | undefined;
/** Of an account of its own for each test: its whole rate is there. */
let apiKey: string;
let baseURL: string;
let client: Client;

beforeAll(async () => {
	deployment = await deploy(
		{ LIMIT_REQUESTS_PER_MINUTE: "30" },
		async (worker) => {
			proxy = await proxyTo(worker);
			return proxy.url;
		},
	);
	baseURL = `${deployment.url}/v1`;
});

beforeEach(async () => {
	apiKey = await deployment.stranger();
	client = new Client(deployment.url, apiKey);
});

afterEach(() => {
	if (proxy) proxy.stall = null;
});

afterAll(async () => {
	await deployment?.stop();
	await proxy?.stop();
});

/**
 * Uses up the account's rate, and what leaks back once more: then the next request that passes is
 * as far away as it can be.
 */
async function drain(): Promise<void> {
	const refused = async () =>
		(await client.call(`/files/${UNKNOWN}`)).status === 429;
	while (!(await refused()));
	while (await refused());
	while (!(await refused()));
}

/** How a job ended; asked for slowly, since asking counts against the rate. */
async function endOf(id: string): Promise<string> {
	for (let looks = 0; looks < 30; looks++) {
		await sleep(3_000);
		const { status, finished_at } = await client.get(`/jobs/${id}`);
		if (finished_at !== null) return status;
	}
	return "not ended";
}

/** Statuses of what is fetched, in order. */
function watched(): { statuses: number[]; fetch: typeof fetch } {
	const statuses: number[] = [];
	return {
		statuses,
		fetch: async (...request) => {
			const answer = await fetch(...request);
			statuses.push(answer.status);
			return answer;
		},
	};
}

describe("the openai package for JavaScript", () => {
	const openai = (more: object = {}) =>
		new OpenAI({ apiKey, baseURL, ...more });
	const hello = {
		model: "nano",
		messages: [{ role: "user" as const, content: "Say hello." }],
		temperature: 0,
		max_completion_tokens: 16,
	};

	test("asks in text, and goes on from the answer", async () => {
		const first = await openai().chat.completions.create(hello);
		const [choice] = first.choices;
		expect(choice?.message.content?.length).toBeGreaterThan(1);
		expect(first.usage?.completion_tokens).toBeGreaterThan(1);
		const next = await openai().chat.completions.create({
			...hello,
			messages: [
				{ role: "system", content: "You are a parrot." },
				...hello.messages,
				...(choice ? [choice.message] : []),
				{ role: "user", content: "And again?" },
			],
		});
		expect(next.usage?.prompt_tokens).toBeGreaterThan(
			(first.usage?.prompt_tokens ?? 0) + 10,
		);
		const job = await client.get(`/jobs/${first.id.slice("chatcmpl-".length)}`);
		expect(job.output.text).toBe(choice?.message.content);
	});

	test("sees an image by data URL, by file and by upload, the same in all", async () => {
		const photo = (await readFile(PHOTO)).toString("base64");
		const api = openai();
		const file = await api.files.create({
			file: createReadStream(PHOTO),
			purpose: "vision",
		});
		const see = async (part: OpenAI.ChatCompletionContentPart) => {
			const { choices } = await api.chat.completions.create({
				...hello,
				max_completion_tokens: 32,
				messages: [
					{ role: "user", content: [part, { type: "text", text: QUESTION }] },
				],
			});
			return choices[0]?.message.content;
		};
		const url = `data:image/jpeg;base64,${photo}`;
		const answer = await see({ type: "image_url", image_url: { url } });
		expect(answer).toMatch(/cat|kitten/i);
		expect(await see({ type: "image_url", image_url: { url: file.id } })).toBe(
			answer,
		);
		expect(await see({ type: "file", file: { file_id: file.id } })).toBe(
			answer,
		);
		expect((await api.files.retrieve(file.id)).status).toBe("processed");
		const content = await (await api.files.content(file.id)).arrayBuffer();
		expect(new Uint8Array(content).slice(0, 2)).toEqual(
			new Uint8Array([0xff, 0xd8]),
		);
		expect((await api.files.delete(file.id)).deleted).toBe(true);
		await expect(api.files.retrieve(file.id)).rejects.toThrow(NotFoundError);
	});

	test("lists its files over every page, and no images that came with a message", async () => {
		const api = openai();
		const photo = (await readFile(PHOTO)).toString("base64");
		const url = `data:image/jpeg;base64,${photo}`;
		await api.chat.completions.create({
			...hello,
			messages: [
				{ role: "user", content: [{ type: "image_url", image_url: { url } }] },
			],
		});
		const files: OpenAI.FileObject[] = [];
		for (let n = 0; n < 5; n++)
			files.unshift(
				await api.files.create({
					file: createReadStream(PHOTO),
					purpose: "vision",
				}),
			);
		const listed = async (query: OpenAI.FileListParams = {}) => {
			const seen: OpenAI.FileObject[] = [];
			for await (const file of api.files.list(query)) seen.push(file);
			return seen;
		};
		expect(await listed()).toEqual(files);
		expect(await listed({ limit: 2 })).toEqual(files);
		expect(await listed({ limit: 2, order: "asc", purpose: "vision" })).toEqual(
			files.toReversed(),
		);
		const first = await api.files.list({ limit: 3 });
		expect([first.data.length, first.hasNextPage()]).toEqual([3, true]);
		const last = await first.getNextPage();
		expect([last.data, last.hasNextPage()]).toEqual([files.slice(3), false]);
	});

	test("streams what it would have answered whole, and says what it took", async () => {
		const whole = await openai().chat.completions.create(hello);
		const stream = await openai().chat.completions.create({
			...hello,
			stream: true,
			stream_options: { include_usage: true },
		});
		const chunks = [];
		for await (const chunk of stream) chunks.push(chunk);
		const text = chunks
			.map(({ choices }) => choices[0]?.delta.content ?? "")
			.join("");
		expect(text).toBe(whole.choices[0]?.message.content);
		expect(chunks.length).toBeGreaterThan(3);
		expect(chunks.at(-1)?.usage).toEqual(whole.usage);
		const helper = openai().chat.completions.stream(hello);
		expect(await helper.finalContent()).toBe(text);
	});

	test("throws the class of each error, with its code and parameter", async () => {
		const api = openai({ maxRetries: 0 });
		const refused = async (more: object) =>
			api.chat.completions
				.create({ ...hello, ...more })
				.catch((error) => error);
		expect(await refused({ n: 2 })).toSatisfy(
			(error) => error instanceof BadRequestError && error.param === "n",
		);
		const model = await refused({ model: "gpt-4o" });
		expect(model).toBeInstanceOf(NotFoundError);
		expect(model).toMatchObject({ code: "model_not_found", status: 404 });
		expect(model.requestID).toMatch(/^req_/);
		const key = openai({ apiKey: "mg_live_nobody" });
		await expect(key.chat.completions.create(hello)).rejects.toThrow(
			AuthenticationError,
		);
		await expect(api.models.retrieve("gpt-4o")).rejects.toThrow(
			/There is no model/,
		);
		await expect(
			api.responses.create({ model: "nano", input: "Hello" }),
		).rejects.toThrow(/\/v1\/chat\/completions/);
		// What only the tokenizer shows to be too long, streamed or not.
		for (const stream of [false, true]) {
			const long = [{ role: "user", content: "qzxvk".repeat(2_000) }];
			expect(await refused({ messages: long, stream })).toSatisfy(
				(error) =>
					error instanceof BadRequestError &&
					error.code === "context_length_exceeded",
			);
		}
	});

	test("comes back by itself when it was told to wait", async () => {
		const { statuses, fetch } = watched();
		await drain();
		const { choices } = await openai({ fetch }).chat.completions.create(hello);
		expect(statuses).toEqual([429, 200]);
		expect(choices[0]?.message.content?.length).toBeGreaterThan(1);
	});

	test("cancels the job when it is aborted, streamed or whole", async () => {
		if (proxy) proxy.stall = 3;
		const api = openai({ maxRetries: 0 });
		const story = {
			model: "nano",
			messages: [{ role: "user" as const, content: "Tell me a story." }],
		};
		const { data: stream, response } = await api.chat.completions
			.create({ ...story, stream: true })
			.withResponse();
		for await (const { choices } of stream)
			if (choices[0]?.delta.content) break; // leaving the loop hangs up
		const whole = new AbortController();
		setTimeout(() => whole.abort(), 5_000);
		await expect(
			api.chat.completions.create(story, { signal: whole.signal }),
		).rejects.toThrow(APIUserAbortError);
		const { data: jobs } = await client.get("/jobs");
		expect(jobs).toHaveLength(2);
		expect(response.headers.get("x-job-id")).toBe(jobs[1].id);
		for (const { id } of jobs) expect(await endOf(id)).toBe("canceled");
	});
});

describe("the openai package for Python", () => {
	// biome-ignore lint/suspicious/noExplicitAny: what the script prints
	async function run(way: string): Promise<any> {
		const { stdout } = await promisify(execFile)(
			join(root, "gpu-worker/.venv/bin/python"),
			[join(root, "test/e2e/openai_client.py"), way],
			{
				env: {
					...process.env,
					OPENAI_BASE_URL: baseURL,
					OPENAI_API_KEY: apiKey,
					PHOTO,
				},
			},
		);
		return JSON.parse(stdout);
	}

	test("asks in text, and goes on from the answer", async () => {
		const seen = await run("text");
		expect(seen).toMatchObject({ longer: true, models: ["nano"] });
		expect(seen.text.length).toBeGreaterThan(1);
		expect(seen.again.length).toBeGreaterThan(1);
		expect(seen.id).toMatch(/^chatcmpl-/);
	});

	test("sees an image by data URL and by file, the same in both", async () => {
		const { answers, ...seen } = await run("image");
		expect(answers[0]).toMatch(/cat|kitten/i);
		expect(answers[1]).toBe(answers[0]);
		expect(seen).toEqual({
			file: {
				object: "file",
				purpose: "vision",
				status: "processed",
				bytes: (await readFile(PHOTO)).length,
			},
			jpeg: true,
			listed: true,
			deleted: true,
		});
	});

	test("streams", async () => {
		const seen = await run("stream");
		expect(seen).toMatchObject({ role: "assistant" });
		expect(["stop", "length"]).toContain(seen.finish);
		expect(seen.text.length).toBeGreaterThan(1);
		expect(seen.tokens).toBeGreaterThan(1);
	});

	test("raises the class of each error, with its code and parameter", async () => {
		expect(await run("errors")).toEqual({
			key: ["AuthenticationError", 401, "invalid_key", null],
			model: ["NotFoundError", 404, "model_not_found", null],
			models: ["NotFoundError", 404, "model_not_found", null],
			n: ["BadRequestError", 400, "invalid_request", "n"],
			tools: ["BadRequestError", 400, "invalid_request", "tools"],
			file: ["NotFoundError", 404, "upload_not_found", "id"],
			responses: ["NotFoundError", 404, "unsupported_endpoint", null],
		});
	});

	test("comes back by itself when it was told to wait", async () => {
		const seen = await run("retry");
		expect(seen.statuses).toEqual([429, 200]);
		expect(Number(seen.after)).toBeGreaterThan(0);
		expect(seen.text.length).toBeGreaterThan(0);
	});

	test("cancels the job when it hangs up", async () => {
		if (proxy) proxy.stall = 3;
		const { job } = await run("abort");
		expect(await endOf(job)).toBe("canceled");
	});
});

describe("the AI SDK", () => {
	const model = (more: object = {}) =>
		createOpenAICompatible({
			name: "minigpt4",
			baseURL,
			apiKey,
			includeUsage: true,
			...more,
		})("nano");
	const terse = { temperature: 0, maxOutputTokens: 16 };

	test("asks in text, and goes on from the answer", async () => {
		const first = await generateText({
			model: model(),
			...terse,
			prompt: "Say hello.",
		});
		expect(first.text.length).toBeGreaterThan(1);
		expect(first.usage.outputTokens).toBeGreaterThan(1);
		const next = await generateText({
			model: model(),
			...terse,
			messages: [
				{ role: "user", content: "Say hello." },
				...first.response.messages,
				{ role: "user", content: "And again?" },
			],
		});
		expect(next.usage.inputTokens).toBeGreaterThan(
			first.usage.inputTokens ?? 0,
		);
	});

	test("sees an image, whole and streamed", async () => {
		const asked = {
			model: model(),
			temperature: 0,
			maxOutputTokens: 32,
			messages: [
				{
					role: "user" as const,
					content: [
						{
							type: "file" as const,
							data: await readFile(PHOTO),
							mediaType: "image/jpeg",
						},
						{ type: "text" as const, text: QUESTION },
					],
				},
			],
		};
		const { text } = await generateText(asked);
		expect(text).toMatch(/cat|kitten/i);
		const streamed = streamText(asked);
		let heard = "";
		for await (const piece of streamed.textStream) heard += piece;
		expect(heard).toBe(text);
		expect((await streamed.usage).outputTokens).toBeGreaterThan(1);
		expect(await streamed.finishReason).toMatch(/stop|length/);
	});

	test("hears a long answer piece by piece", async () => {
		const { textStream } = streamText({
			model: model(),
			temperature: 0,
			maxOutputTokens: 64,
			prompt:
				"Count from one to one thousand, one number per line: 1, 2, 3, 4, 5,",
		});
		let pieces = 0;
		for await (const piece of textStream) if (piece) pieces++;
		expect(pieces).toBeGreaterThan(1);
	});

	test("throws its call error with the status and our words", async () => {
		const error = await generateText({
			model: model({ apiKey: "mg_live_nobody" }),
			prompt: "Hello",
		}).catch((thrown) => thrown);
		expect(APICallError.isInstance(error)).toBe(true);
		expect(error).toMatchObject({
			statusCode: 401,
			isRetryable: false,
			message: expect.stringContaining("not a key of this API"),
		});
	});

	test("comes back by itself when it was told to wait", async () => {
		const { statuses, fetch } = watched();
		await drain();
		const { text } = await generateText({
			model: model({ fetch }),
			...terse,
			prompt: "Say hello.",
		});
		expect(statuses[0]).toBe(429);
		expect(statuses.at(-1)).toBe(200);
		expect(text.length).toBeGreaterThan(1);
	});

	test("cancels the job when it is aborted", async () => {
		if (proxy) proxy.stall = 3;
		const left = new AbortController();
		const { textStream } = streamText({
			model: model(),
			prompt: "Tell me a story.",
			abortSignal: left.signal,
		});
		for await (const piece of textStream) if (piece) left.abort();
		const { data: jobs } = await client.get("/jobs");
		expect(jobs).toHaveLength(1);
		expect(await endOf(jobs[0].id)).toBe("canceled");
	});
});
