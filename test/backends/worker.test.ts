import { afterEach, describe, expect, it, vi } from "vitest";
import { countPrompt } from "../../src/backends/address.ts";
import {
	BackendError,
	type BackendEvent,
	type Generation,
} from "../../src/backends/backend.ts";
import { SseParser } from "../../src/backends/sse-parser.ts";
import { countTokens, GpuWorker, probe } from "../../src/backends/worker.ts";
import type { Message } from "../../src/contract/job.ts";
import type { WorkerAddress } from "../../src/models.ts";
import vectors from "../fixtures/worker-protocol/generate.json";
import { eventually } from "../support/eventually.ts";
import { FakeWorker } from "../support/fake-worker.ts";

afterEach(() => {
	vi.restoreAllMocks();
});

const address: WorkerAddress = {
	url: "http://worker.test",
	key: "worker-key",
	access: null,
};
const generation: Generation = {
	requestId: "j-1",
	job: "a/j",
	trace: null,
	model: "nano",
	cacheSalt: "salt",
	prompt: {
		messages: [{ role: "user", content: [{ type: "text", text: "hi" }] }],
	},
	images: [],
	sampling: {
		max_tokens: 10,
		temperature: 0,
		top_p: 1,
		repetition_penalty: 1,
		seed: 1,
		stop: [],
	},
	resume: null,
};
const answer = (respond: (request: Request) => Response | Promise<Response>) =>
	vi
		.spyOn(globalThis, "fetch")
		.mockImplementation(async (input, init) =>
			respond(new Request(input as RequestInfo, init as RequestInit)),
		);

async function generate(
	worker = new GpuWorker(address),
	signal = new AbortController().signal,
): Promise<BackendEvent[]> {
	const events: BackendEvent[] = [];
	for await (const event of worker.generate(generation, signal))
		events.push(event);
	return events;
}

const failing = async (run: Promise<unknown>): Promise<BackendError> => {
	const error = await run.catch((thrown) => thrown);
	expect(error).toBeInstanceOf(BackendError);
	return error as BackendError;
};

const stream = new TextEncoder().encode(vectors.stream.join(""));
const expected = [
	{
		type: "prompt",
		ids: [1, 4093, 198, 16, 198, 1780, 314, 451, 47, 2, 198, 1, 520, 9531, 198],
		tokens: 22,
	},
	{ type: "token", ids: [504], tokens: 1, text: "The" },
	{ type: "token", ids: [2857, 282], tokens: 2, text: " caf" },
	{ type: "token", ids: [5150], tokens: 1, text: "é 😀" },
	{ type: "done", reason: "stop" },
];

const body = (...chunks: Uint8Array[]) =>
	new ReadableStream({
		start(controller) {
			for (const chunk of chunks) controller.enqueue(chunk);
			controller.close();
		},
	});

describe("the worker's stream", () => {
	it("gives the same events when it is cut in two at any byte", async () => {
		const events = (cut: number) => {
			const parser = new SseParser();
			return [
				...parser.push(stream.slice(0, cut)),
				...parser.push(stream.slice(cut)),
			];
		};
		for (let cut = 0; cut <= stream.length; cut++)
			expect(events(cut)).toEqual(events(0));
		expect(events(0).map(({ event }) => event)).toEqual([
			"prompt",
			"token",
			"token",
			"token",
			"done",
		]);
	});

	it("gives the same events byte by byte, with CRLF or LF", async () => {
		for (const text of [
			vectors.stream.join(""),
			vectors.stream.join("").replaceAll("\n", "\r\n"),
		]) {
			const bytes = new TextEncoder().encode(text);
			answer(
				() => new Response(body(...Array.from(bytes, (b) => Uint8Array.of(b)))),
			);
			expect(await generate()).toEqual(expected);
		}
	});

	it("recorded from nano keeps its incomplete characters", async () => {
		const recorded = new TextEncoder().encode(vectors.recorded.stream.join(""));
		answer(() => new Response(body(recorded)));
		const tokens = (await generate()).filter((e) => e.type === "token");
		expect(tokens.map(({ text }) => text).join("")).toBe("🌍🌍\ufffd");
		expect(tokens.flatMap(({ ids }) => ids)).toHaveLength(7);
	});

	it.each([
		["that ends without `done`", vectors.stream.slice(0, -1).join("")],
		["whose events are not of the protocol", "event: token\ndata: {}\n\n"],
		["that is not even JSON", "event: token\ndata: {\n\n"],
	])("%s is broken, and worth another attempt", async (_, text) => {
		answer(() => new Response(body(new TextEncoder().encode(text))));
		const { code, retry, down } = await failing(generate());
		expect({ code, retry, down }).toEqual({
			code: "broken_stream",
			retry: true,
			down: false,
		});
	});

	it("fails after a silence, and after a longer time with pings alone", async () => {
		const playing = (pings?: true) => {
			const worker = new FakeWorker({
				tokens: ["a", "b"],
				faults: { 1: { silent: true, after: 1, ...(pings && { pings }) } },
			});
			worker.pingEvery = 30;
			answer((request) => worker.fetch(request));
			return worker;
		};
		const silent = playing();
		const { code, retry } = await failing(
			generate(new GpuWorker(address, 100)),
		);
		expect([code, retry]).toEqual(["silent", true]);
		expect(silent.running).toBe(0);
		playing(true);
		const signal = AbortSignal.timeout(400);
		await failing(generate(new GpuWorker(address, 100), signal));
		expect(signal.aborted).toBe(true);
		const stalled = playing(true);
		const failure = await failing(generate(new GpuWorker(address, 100, 300)));
		expect([failure.code, failure.retry]).toEqual(["silent", true]);
		expect(stalled.running).toBe(0);
	});

	it("ends on the worker when the reader closes it", async () => {
		const worker = new FakeWorker({ tokens: Array(100).fill("x"), every: 10 });
		answer((request) => worker.fetch(request));
		const controller = new AbortController();
		const run = failing(generate(undefined, controller.signal));
		await eventually(() => expect(worker.running).toBe(1));
		controller.abort();
		await run;
		await eventually(() => expect(worker.running).toBe(0));
	});
});

describe("a worker's refusal", () => {
	it.each([
		["invalid_request", false, false],
		["context_length_exceeded", false, false],
		["image_undecodable", false, false],
		["image_unavailable", true, false],
		["overloaded", true, false],
		["draining", true, true],
		["starting", true, true],
		["model_not_found", true, true],
		["engine_failed", true, false],
		["unauthorized", true, false],
	] as const)("%s: retry %s, down %s", async (error, retry, down) => {
		for (const after of [undefined, 1]) {
			const worker = new FakeWorker({
				tokens: ["a", "b"],
				faults: { 1: { error, ...(after && { after }) } as never },
			});
			answer((request) => worker.fetch(request));
			const failed = await failing(generate());
			expect([failed.code, failed.retry, failed.down]).toEqual([
				error,
				retry,
				down,
			]);
			vi.restoreAllMocks();
		}
	});

	it("that is not of the protocol means that a proxy answered", async () => {
		answer(() => new Response("<html>Bad gateway", { status: 502 }));
		expect(await failing(generate())).toMatchObject({
			code: "unreachable",
			retry: true,
			down: true,
		});
		answer(() => Promise.reject(new TypeError("refused")));
		expect((await failing(generate())).code).toBe("unreachable");
	});
});

describe("a call to the worker", () => {
	it("carries the key and a configured service token, and follows no redirect", async () => {
		const seen: Request[] = [];
		answer((request) => {
			seen.push(request);
			return new Response(null, { status: 307, headers: { Location: "/x" } });
		});
		const tunnel = {
			url: "http://worker.test",
			key: "k",
			access: { id: "id", secret: "secret" },
		};
		await failing(generate(new GpuWorker(tunnel)));
		expect(await probe(tunnel)).toEqual({ status: "away" });
		expect(await countTokens(tunnel, "nano", [])).toBe(null);
		expect(seen).toHaveLength(3);
		for (const { headers, redirect } of seen) {
			expect(redirect).toBe("manual");
			expect(headers.get("Authorization")).toBe("Bearer k");
			expect(headers.get("CF-Access-Client-Id")).toBe("id");
			expect(headers.get("CF-Access-Client-Secret")).toBe("secret");
		}
	});
});

describe("a count", () => {
	const messages: Message[] = [
		{
			role: "user",
			content: [{ type: "image" }, { type: "text", text: "Hm?" }],
		},
	];
	const count = () => countTokens(address, "nano", messages);

	it("is the worker's own of the whole conversation", async () => {
		const worker = new FakeWorker({ tokens: [] });
		answer((request) => worker.fetch(request));
		expect(await count()).toBe(7 + 3);
	});

	it("is none where no worker gives one: refused, away, a proxy, another protocol", async () => {
		for (const respond of [
			() => Response.json({ code: "starting", message: "" }, { status: 503 }),
			() => Response.json({ prompt_tokens: 9 }, { status: 400 }),
			() => Response.json({ prompt_tokens: "9" }),
			() => new Response("<html>Bad gateway", { status: 502 }),
			() => Promise.reject(new TypeError("refused")),
		]) {
			answer(respond);
			expect(await count()).toBe(null);
		}
	});

	it("comes from another replica where one is away, and from none of Replicate's", async () => {
		const url = (n: number) => `http://worker-${n}.test`;
		const replicas = [1, 2].map((n) => ({ ...address, url: url(n) }));
		answer((request) =>
			request.url.startsWith(url(1))
				? Response.json({ prompt_tokens: 9 })
				: Promise.reject(new TypeError("refused")),
		);
		for (let times = 0; times < 8; times++)
			expect(await countPrompt(replicas, "nano", messages)).toBe(9);
		expect(await countPrompt([], "nano", messages)).toBe(null);
	});
});
