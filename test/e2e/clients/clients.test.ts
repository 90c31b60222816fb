/**
 * Clients of others, unchanged and pinned, against the edge: two turns, the second with the first
 * answer as the client itself sends it back, and a stream that waits over 20 s for its first token.
 * The worker is the scripted one: the edge is what is tried here.
 */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { clients, root } from "../../../scripts/paths.mjs";
import { FakeWorker } from "../../support/fake-worker.ts";
import { serve } from "../../support/fake-worker-server.ts";
import { type Deployment, deploy } from "../deployment.ts";
import { asText, byEventSource, inPage } from "./parsers.ts";
import type { Heard, Stream } from "./stream.ts";

const PHOTO = join(root, "samples/cat.jpg");
/** What makes the first token wait. */
const PATIENT = "Take your time.";
const WAIT_MS = 21_000;
const ANSWER = ["A", " tabby", " cat", "."];
const TEXT = ANSWER.join("");
const WRONG = '```json\n{"animal": "cat", "legs": "many"}\n```';
const RIGHT = '```json\n{"animal": "cat", "legs": 4}\n```';

/** instructor wants JSON. What it is told first is wrong, and right once it said so. */
function answerTo(prompt: string): string[] {
	if (!prompt.includes("instructor:")) return ANSWER;
	const good = prompt.includes(PATIENT) || prompt.includes('"many"');
	return (good ? RIGHT : WRONG).split(/(?= )/);
}

const worker = new FakeWorker((prompt) => ({
	tokens: answerTo(prompt),
	gate: (n) =>
		n === 0 && prompt.includes(PATIENT) ? sleep(WAIT_MS) : undefined,
}));
Object.assign(worker, { slots: 100, allowed: ["127.0.0.1"] });

let deployment: Deployment;
let gpu: Awaited<ReturnType<typeof serve>>;
let folder: string;

/** All run side by side, from the start: most of what they do is to wait. */
const runs: Record<string, Promise<unknown>> = {};
const ways = {
	"openai-node": openaiNode,
	"openai-python": (key) => python("openai", key),
	"openai-go": (key) => run(clients.go, [], key),
	litellm: (key) => python("litellm", key),
	langchain: (key) => python("langchain", key),
	"pydantic-ai": (key) => python("pydantic-ai", key),
	instructor: (key) => python("instructor", key),
	llm,
	eventsource: (key) => streams(key, byEventSource),
	"fetch-event-source": async (key) => {
		const page = await inPage();
		return streams(key, page.read).finally(page.close);
	},
	"httpx-sse": (key) => python("httpx-sse", key),
	sseclient: (key) => python("sseclient", key),
	none: (key) => streams(key, asText),
} satisfies Record<string, (key: string) => Promise<unknown>>;

beforeAll(async () => {
	folder = await mkdtemp(join(tmpdir(), "minigpt4-clients-"));
	gpu = await serve(worker);
	deployment = await deploy({}, async () => gpu.url);
	worker.key = deployment.secrets.workerKey;
	for (const [name, way] of Object.entries(ways)) {
		// The parsers read their account's feed too, and would hear of each other's jobs.
		const key = await deployment.stranger();
		runs[name] = way(key);
		runs[name].catch(() => {}); // its test says so
	}
});

afterAll(async () => {
	await Promise.allSettled(Object.values(runs));
	await deployment?.stop();
	await gpu?.stop();
	await rm(folder, { recursive: true, force: true });
});

const baseURL = () => `${deployment.url}/v1`;

/** What the program printed. */
async function printed(
	program: string,
	args: string[],
	env: Record<string, string>,
): Promise<string> {
	const running = promisify(execFile)(program, args, {
		env: { ...process.env, ...env },
	});
	running.child.stdin?.end();
	return (await running).stdout.trimEnd();
}

/** The last line that the program printed, as JSON. */
async function run(
	program: string,
	args: string[],
	key: string,
): Promise<unknown> {
	const lines = await printed(program, args, {
		OPENAI_BASE_URL: baseURL(),
		OPENAI_API_KEY: key,
		PHOTO,
		// It would fetch prices from the network.
		LITELLM_LOCAL_MODEL_COST_MAP: "True",
	});
	return JSON.parse(lines.split("\n").at(-1) ?? "");
}

const python = (name: string, key: string) =>
	run(clients.python, [join(import.meta.dirname, "clients.py"), name], key);

async function openaiNode(apiKey: string): Promise<unknown> {
	const client = new OpenAI({ apiKey, baseURL: baseURL() });
	const ask = (messages: OpenAI.ChatCompletionMessageParam[]) =>
		client.chat.completions.create({ model: "nano", messages });
	const next = {
		role: "user" as const,
		content: "openai-node: And what else?",
	};
	const url = `data:image/jpeg;base64,${await readFile(PHOTO, "base64")}`;
	const messages: OpenAI.ChatCompletionMessageParam[] = [
		{
			role: "user",
			content: [
				{ type: "image_url", image_url: { url } },
				{ type: "text", text: "openai-node: What is in this picture?" },
			],
		},
	];
	const turns = [];
	for (let turn = 0; turn < 3; turn++) {
		// A streamed answer is another object than one that came whole.
		const message =
			turn === 1
				? await client.chat.completions
						.stream({ model: "nano", messages })
						.finalMessage()
				: (await ask(messages)).choices[0]?.message;
		if (!message) throw new Error("no answer");
		turns.push(message.content);
		messages.push(message, next);
	}
	const began = Date.now();
	let seconds = 0;
	let text = "";
	for await (const { choices } of await client.chat.completions.create({
		model: "nano",
		messages: [{ role: "user", content: `openai-node: ${PATIENT}` }],
		stream: true,
	})) {
		const piece = choices[0]?.delta.content ?? "";
		if (piece && !text) seconds = (Date.now() - began) / 1000;
		text += piece;
	}
	return { turns, text, seconds };
}

/**
 * Simon Willison's `llm`, in a terminal. It streams, and keeps conversations in its own database.
 */
async function llm(key: string): Promise<unknown> {
	await writeFile(
		join(folder, "extra-openai-models.yaml"),
		"- {model_id: nano, model_name: nano, " +
			`api_base: ${baseURL()}, api_key_name: minigpt4, vision: true}\n`,
	);
	const say = (...args: string[]) =>
		printed(clients.llm, [...args, "--key", key], { LLM_USER_PATH: folder });
	const first = await say(
		"-m",
		"nano",
		"llm: What is in this picture?",
		"-a",
		PHOTO,
	);
	const second = await say("-c", "llm: And what else?");
	const began = Date.now();
	const text = await say("-m", "nano", `llm: ${PATIENT}`);
	return {
		turns: [first, second],
		text,
		seconds: (Date.now() - began) / 1000,
	};
}

/** Three streams that wait, side by side: the account's feed, a job's and a chat's. */
async function streams<T>(
	key: string,
	read: (stream: Stream) => Promise<T>,
): Promise<Record<"feed" | "job" | "chat", T>> {
	const url = baseURL();
	const messages = [{ role: "user", content: PATIENT }];
	const [feed, job, chat] = await Promise.all([
		read({
			url: `${url}/events?types=job.created,job.succeeded`,
			key,
			until: "job.succeeded",
		}),
		read({
			url: `${url}/jobs`,
			key,
			body: { prompt: PATIENT },
			until: "done",
		}),
		read({
			url: `${url}/chat/completions`,
			key,
			body: { model: "nano", messages, stream: true },
			until: "[DONE]",
		}),
	]);
	return { feed, job, chat };
}

/** The worker's view of the conversations that a client had. */
const conversationsOf = (name: string) =>
	worker.requests
		.map(({ messages = [] }) =>
			messages.map(({ role, content }) => ({
				role,
				text: (content as { type: string; text?: string }[])
					.map(({ type, text }) => (type === "text" ? text : `<${type}>`))
					.join(""),
			})),
		)
		.filter((messages) =>
			messages.some(({ text }) =>
				text.replace("<image>", "").startsWith(`${name}: `),
			),
		);

describe("asks twice, its own answer sent back, and hears an answer that waits", () => {
	test.each([
		["openai-node", "openai-node", 3],
		["openai-python", "openai", 4],
		["openai-go", "openai-go", 2],
		["litellm", "litellm", 4],
		["langchain", "langchain", 3],
		["pydantic-ai", "pydantic-ai", 2],
		["llm", "llm", 2],
	])("%s", async (client, name, turns) => {
		const seen = await runs[client];
		expect(seen).toEqual({
			turns: Array(turns).fill(TEXT),
			text: TEXT,
			seconds: expect.toSatisfy((seconds) => seconds > 20, "over 20 s"),
		});
		const [long] = conversationsOf(name).sort((a, b) => b.length - a.length);
		expect(long).toEqual([
			{
				role: "user",
				// Each with its parts in the order that it sends them.
				text:
					client === "llm"
						? "llm: What is in this picture?<image>"
						: `<image>${name}: What is in this picture?`,
			},
			...Array.from({ length: turns - 1 }, () => [
				{ role: "assistant", text: TEXT },
				{ role: "user", text: `${name}: And what else?` },
			]).flat(),
		]);
	});

	test("instructor, which by itself sends back what did not fit", async () => {
		expect(await runs.instructor).toEqual({
			turns: [{ animal: "cat", legs: 4 }],
			text: "cat",
			seconds: expect.toSatisfy((seconds) => seconds > 20, "over 20 s"),
		});
		const again = conversationsOf("instructor").find(
			({ length }) => length > 2,
		);
		expect(again?.map(({ role }) => role).slice(-3)).toEqual([
			"user",
			"assistant",
			"user",
		]);
		expect(again?.at(-2)?.text).toBe(WRONG);
	});
});

describe("reads the streams of a job, of a chat and of the feed, each waiting", () => {
	const textOf = (heard: Heard) =>
		// biome-ignore lint/suspicious/noExplicitAny: the wire is what these tests look at
		heard.map(([, data]: any) => data?.text ?? "").join("");
	const namesOf = (heard: Heard) => heard.map(([name]) => name);

	test.each(["eventsource", "fetch-event-source", "httpx-sse", "sseclient"])(
		"%s",
		async (parser) => {
			const { feed, job, chat } = (await runs[parser]) as Record<string, Heard>;
			// It may hear of the other job's end too before it stops.
			expect(namesOf(feed ?? []).slice(0, 3)).toEqual([
				"job.created",
				"job.created",
				"job.succeeded",
			]);
			expect([...new Set(namesOf(job ?? []))]).toEqual([
				"job.queued",
				"job.running",
				"token",
				"usage",
				"job.succeeded",
				"done",
			]);
			expect(textOf(job ?? [])).toBe(TEXT);
			const pieces = (chat ?? []).map(
				// biome-ignore lint/suspicious/noExplicitAny: the wire is what these tests look at
				([, data]: any) => data?.choices[0].delta.content ?? "",
			);
			expect(pieces.join("")).toBe(TEXT);
			expect(chat?.at(-1)?.[1]).toBe(null);
		},
	);

	test("what they read has comments while it waits, and no block without data", async () => {
		const read = (await runs.none) as Record<"feed" | "job" | "chat", string>;
		for (const text of Object.values(read)) {
			expect(text.match(/^: ping$/gm)?.length).toBeGreaterThan(0);
			for (const block of text.trimEnd().split("\n\n"))
				expect(block).toMatch(/^data: ./m);
		}
	});
});
