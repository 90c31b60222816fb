import { afterEach, describe, expect, it, vi } from "vitest";
import {
	BackendError,
	type BackendEvent,
	type Generation,
} from "../../src/backends/backend.ts";
import {
	probeReplicate,
	ReplicateBackend,
} from "../../src/backends/replicate.ts";
import { RETRY_POLICY } from "../../src/backends/retry.ts";
import type { ReplicateAddress } from "../../src/models.ts";
import { sleep } from "../../src/time.ts";
import { eventually } from "../support/eventually.ts";
import {
	FakeReplicate,
	type Script,
	VERSION,
} from "../support/fake-replicate.ts";

afterEach(() => {
	vi.restoreAllMocks();
});

const TOKENS = ["A", " cat", ",\n\nI", " see", "", " 🐈", "."];
const TEXT = TOKENS.join("");

const addressOf = (
	part: Partial<ReplicateAddress["replicate"]> = {},
): ReplicateAddress => ({
	url: "http://replicate.test/v1/deployments/acme/llama2-7b",
	replicate: {
		model: "llama2-7b",
		token: "r8_test",
		slots: 3,
		run: "acme/llama2-7b",
		api: "http://replicate.test/v1",
		webhook: null,
		...part,
	},
});
const generation: Generation = {
	requestId: "j-1",
	job: "account/j",
	trace: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
	model: "llama2-7b",
	cacheSalt: "salt",
	prompt: {
		messages: [
			{
				role: "user",
				content: [{ type: "image" }, { type: "text", text: "What is this?" }],
			},
		],
	},
	images: [{ id: "i.d", url: "https://s3.test/i?signature=1" }],
	sampling: {
		max_tokens: 10,
		temperature: 0.5,
		top_p: 0.9,
		repetition_penalty: 1.1,
		seed: 7,
		stop: [],
	},
	resume: null,
};

function fakeReplicate(
	script: Script | ((n: number) => Script),
): FakeReplicate {
	const fake = new FakeReplicate(script);
	vi.spyOn(globalThis, "fetch").mockImplementation((input, init) =>
		fake.fetch(new Request(input as RequestInfo, init as RequestInit)),
	);
	return fake;
}

/** The waits that the backend asked for; each takes only a few milliseconds here. */
function backend(
	part: Partial<ReplicateAddress["replicate"]> = {},
	silenceMs = 50,
) {
	const waits: number[] = [];
	const patience = {
		...RETRY_POLICY,
		sleep: (ms: number, signal: AbortSignal) => {
			waits.push(ms);
			return sleep(2, signal);
		},
		random: () => 0.5,
	};
	const made = new ReplicateBackend(addressOf(part), patience, silenceMs);
	return { made, waits };
}

async function generate(
	{ made } = backend(),
	part: Partial<Generation> = {},
	signal = new AbortController().signal,
	stop: (event: BackendEvent) => boolean = () => false,
): Promise<BackendEvent[]> {
	const events: BackendEvent[] = [];
	for await (const event of made.generate({ ...generation, ...part }, signal)) {
		events.push(event);
		if (stop(event)) break;
	}
	return events;
}

const failing = async (run: Promise<unknown>): Promise<BackendError> => {
	const error = await run.catch((thrown) => thrown);
	expect(error).toBeInstanceOf(BackendError);
	return error as BackendError;
};

const textOf = (events: BackendEvent[]): string =>
	events.map((event) => (event.type === "token" ? event.text : "")).join("");
const tokensOf = (events: BackendEvent[]): number =>
	events.reduce(
		(n, event) => n + (event.type === "token" ? event.tokens : 0),
		0,
	);
const made = (fake: FakeReplicate, n: number) =>
	fake.predictions[n - 1] as FakeReplicate["predictions"][number];
const creations = ({ requests }: FakeReplicate): number =>
	requests.filter((each) => /^POST .*\/predictions$/.test(each)).length;

describe("a prediction", () => {
	it("gets the worker's request and a deadline, and yields tokens without ids", async () => {
		const fake = fakeReplicate({ tokens: TOKENS, every: 4 });
		const webhook = { url: "https://api.test", secret: "whsec_x" };
		const events = await generate(backend({ webhook }));
		const { id, input, ...more } = made(fake, 1);
		expect(more).toMatchObject({
			route: "/v1/deployments/acme/llama2-7b/predictions",
			cancelAfter: "15m",
			webhook: "https://api.test/internal/replicate/llama2-7b/account/j",
			filter: ["start", "completed"],
		});
		expect(input).toEqual({
			request_id: "j-1",
			cache_salt: "salt",
			messages: JSON.stringify(
				(generation.prompt as { messages: [] }).messages,
			),
			images: JSON.stringify(generation.images),
			max_tokens: 10,
			temperature: 0.5,
			top_p: 0.9,
			repetition_penalty: 1.1,
			seed: 7,
			traceparent: generation.trace,
		});
		expect(events[0]).toEqual({ type: "begun", run: id });
		expect(events.slice(-2)).toEqual([
			{ type: "prompt", ids: [], tokens: 11 },
			{ type: "done", reason: "stop" },
		]);
		expect(events.slice(1, -2)).toEqual(
			TOKENS.map((text) => ({ type: "token", ids: [], tokens: 1, text })),
		);
		expect(fake.requests).not.toContainEqual(expect.stringMatching(/cancel/));
	});

	it("of a version names that version, and no webhook if none is configured", async () => {
		const fake = fakeReplicate({ tokens: TOKENS });
		await generate(backend({ run: `acme/llama2-7b:${VERSION}` }));
		expect(made(fake, 1)).toMatchObject({
			route: "/v1/predictions",
			version: VERSION,
			webhook: null,
			filter: [],
		});
	});

	it("may wait for an instance longer than its stream may be silent", async () => {
		const fake = fakeReplicate({ tokens: TOKENS, cold: 200 });
		expect(textOf(await generate(backend({}, 20)))).toBe(TEXT);
		expect(creations(fake)).toBe(1);
	});

	it.each(["breaks", "hangs", "skips"] as const)(
		"whose stream %s is told whole, each token once",
		async (fault) => {
			for (const after of [0, 1, 6]) {
				fakeReplicate({ tokens: TOKENS, every: 4, stream: { after, fault } });
				// A gap in the stream shows at the end, when it is too late to fill it.
				const events = generate(backend({}, 20));
				if (fault === "skips" && after < 6)
					expect((await failing(events)).code).toBe("broken_stream");
				else {
					expect(textOf(await events)).toBe(TEXT);
					expect(tokensOf(await events)).toBe(TOKENS.length);
				}
				vi.restoreAllMocks();
			}
		},
	);

	it("that contradicts its stream fails", async () => {
		fakeReplicate({ tokens: TOKENS, stream: { after: 1, fault: "lies" } });
		expect((await failing(generate())).code).toBe("broken_stream");
	});

	it("without a stream is polled", async () => {
		const fake = fakeReplicate({ tokens: TOKENS, every: 4 });
		fake.refusals.push({ to: "stream", status: 404, times: 1 });
		expect(textOf(await generate())).toBe(TEXT);
	});

	it("that used up its tokens ends with `length`", async () => {
		fakeReplicate({ tokens: TOKENS });
		const events = await generate(backend(), {
			sampling: { ...generation.sampling, max_tokens: 3 },
		});
		expect(textOf(events)).toBe(TOKENS.slice(0, 3).join(""));
		expect(events.at(-1)).toEqual({ type: "done", reason: "length" });
	});

	it("that fails with an error of the worker protocol fails with that error", async () => {
		const error = {
			code: "context_length_exceeded",
			message: "too long",
			prompt_tokens: 4_090,
			context_length: 4_096,
		};
		fakeReplicate({
			tokens: TOKENS,
			fails: { after: 0, error: JSON.stringify(error) },
		});
		expect(await failing(generate())).toMatchObject({
			code: "context_length_exceeded",
			message: "too long",
			retry: false,
			tokens: { prompt: 4_090, context: 4_096 },
		});
	});

	it("that fails with any other error may be retried", async () => {
		fakeReplicate({ tokens: TOKENS, fails: { after: 2, error: "CUDA error" } });
		expect(await failing(generate())).toMatchObject({
			code: "engine_failed",
			retry: true,
			down: false,
		});
	});

	it("that somebody else canceled may be retried", async () => {
		const fake = fakeReplicate({ tokens: TOKENS, every: 500 });
		const run = failing(generate());
		await eventually(() => expect(fake.predictions).toHaveLength(1));
		const { id } = made(fake, 1);
		await fetch(`http://replicate.test/v1/predictions/${id}/cancel`, {
			method: "POST",
			headers: { Authorization: "Bearer r8_test" },
		});
		expect((await run).code).toBe("engine_failed");
	});
});

describe("aborting an attempt", () => {
	const abortAfter = async (reason: string) => {
		const fake = fakeReplicate({ tokens: TOKENS, every: 20 });
		const controller = new AbortController();
		const events: BackendEvent[] = [];
		const run = failing(
			generate(backend(), {}, controller.signal, (event) => {
				events.push(event);
				return false;
			}),
		);
		await eventually(() => expect(tokensOf(events)).toBeGreaterThan(1));
		controller.abort(reason);
		await run;
		return { fake, events };
	};

	it("as over cancels the prediction", async () => {
		const { fake } = await abortAfter("over");
		expect(fake.statusOf(1)).toBe("canceled");
	});

	it("by leaving the loop cancels the prediction too", async () => {
		const fake = fakeReplicate({ tokens: TOKENS, every: 20 });
		await generate(undefined, {}, undefined, ({ type }) => type === "token");
		expect(fake.statusOf(1)).toBe("canceled");
	});

	it("for another attempt leaves it running, and that attempt gets exactly the rest", async () => {
		const { fake, events } = await abortAfter("lease_lost");
		expect(fake.statusOf(1)).toBe("processing");
		const text = textOf(events);
		const tokens = tokensOf(events);
		const run = made(fake, 1).id;
		const rest = await generate(backend(), {
			resume: { run, text, tokens },
			sampling: { ...generation.sampling, max_tokens: 10 - tokens },
		});
		expect(text + textOf(rest)).toBe(TEXT);
		expect(tokens + tokensOf(rest)).toBe(TOKENS.length);
		expect(rest.at(-1)).toEqual({ type: "done", reason: "stop" });
		expect(creations(fake)).toBe(1);
	});

	it("retries a cancel that is refused", async () => {
		const fake = fakeReplicate({ tokens: TOKENS, every: 20 });
		fake.refusals.push({ to: "cancel", status: 503, times: 2 });
		const over = backend();
		await generate(over, {}, undefined, ({ type }) => type === "token");
		expect(fake.statusOf(1)).toBe("canceled");
		expect(over.waits).toEqual([375, 750]);
	});

	it("ends even if Replicate does not answer, and logs that without content", async () => {
		const fake = fakeReplicate({ tokens: TOKENS, every: 20 });
		const lines: string[] = [];
		vi.spyOn(console, "log").mockImplementation((line) => {
			lines.push(line);
		});
		const events = await generate(undefined, {}, undefined, ({ type }) => {
			fake.away = type === "token";
			return fake.away;
		});
		expect(events.at(-1)?.type).toBe("token");
		expect(lines.map((line) => JSON.parse(line))).toMatchObject([
			{ event: "cancel_failed", object: "replicate", status: null },
		]);
	});
});

describe("a request that fails", () => {
	it("with 429 is retried after Retry-After, and not before", async () => {
		const fake = fakeReplicate({ tokens: TOKENS });
		const headers = { "Retry-After": "7" };
		fake.refusals.push({ to: "create", status: 429, times: 2, headers });
		const patient = backend();
		expect(textOf(await generate(patient))).toBe(TEXT);
		expect(patient.waits).toEqual([7_000, 7_000]);
		expect(creations(fake)).toBe(3);
		expect(fake.predictions).toHaveLength(1);
	});

	it("with 429 and a date is retried at that time", async () => {
		const fake = fakeReplicate({ tokens: TOKENS });
		const at = new Date(Date.now() + 20_000).toUTCString();
		const headers = { "Retry-After": at };
		fake.refusals.push({ to: "create", status: 429, times: 1, headers });
		const patient = backend();
		await generate(patient);
		expect(patient.waits[0]).toBeGreaterThan(18_000);
		expect(patient.waits[0]).toBeLessThanOrEqual(20_000);
	});

	it("with 429 and a long Retry-After fails at once, which frees the slot", async () => {
		const fake = fakeReplicate({ tokens: TOKENS });
		const headers = { "Retry-After": "600" };
		fake.refusals.push({ to: "create", status: 429, times: 1, headers });
		const patient = backend();
		expect(await failing(generate(patient))).toMatchObject({
			code: "overloaded",
			retry: true,
		});
		expect([patient.waits, creations(fake)]).toEqual([[], 1]);
	});

	it("repeatedly is retried after longer and longer waits, up to a limit", async () => {
		const fake = fakeReplicate({ tokens: TOKENS });
		fake.refusals.push({ to: "create", status: 429, times: 100 });
		const patient = backend();
		expect((await failing(generate(patient))).code).toBe("overloaded");
		expect(patient.waits).toEqual([
			375, 750, 1_500, 3_000, 6_000, 6_000, 6_000,
		]);
		expect(creations(fake)).toBe(8);
	});

	it("after a prediction may have been created is not retried, lest two are paid", async () => {
		for (const done of [true, false]) {
			const fake = fakeReplicate({ tokens: TOKENS });
			fake.refusals.push({ to: "create", status: 502, times: 1, done });
			expect(await failing(generate())).toMatchObject({
				code: "unreachable",
				retry: true,
				down: true,
			});
			expect(creations(fake)).toBe(1);
			vi.restoreAllMocks();
		}
		const fake = fakeReplicate({ tokens: TOKENS });
		fake.away = true;
		const asked = vi.mocked(fetch);
		expect((await failing(generate())).code).toBe("unreachable");
		expect(asked).toHaveBeenCalledTimes(1);
	});

	it("while it only reads is retried, even without a response", async () => {
		const fake = fakeReplicate({
			tokens: TOKENS,
			every: 5,
			stream: { after: 2, fault: "breaks" },
		});
		fake.refusals.push(
			{ to: "get", status: 500, times: 1 },
			{ to: "get", status: 429, times: 1, headers: { "Retry-After": "3" } },
		);
		const patient = backend();
		expect(textOf(await generate(patient))).toBe(TEXT);
		expect(patient.waits.slice(0, 2)).toEqual([375, 3_000]);
	});

	it.each([
		[400, "invalid_request", false, false],
		[401, "unauthorized", true, false],
		[402, "unauthorized", true, false],
		[404, "model_not_found", true, true],
		[413, "body_too_large", false, false],
		[422, "invalid_request", false, false],
		[500, "unreachable", true, true],
		[307, "unreachable", true, true],
	])(
		"with %i is `%s`: retry %s, down %s",
		async (status, code, retry, down) => {
			const fake = fakeReplicate({ tokens: TOKENS });
			fake.refusals.push({ to: "create", status, times: 1 });
			const error = await failing(generate());
			expect([error.code, error.retry, error.down]).toEqual([
				code,
				retry,
				down,
			]);
			expect(error.message).toBe(`Replicate answered ${status}`);
		},
	);
});

describe("a deployment or version that is", () => {
	const versioned = {
		...addressOf({ run: `acme/llama2-7b:${VERSION}` }),
		url: `http://replicate.test/v1/models/acme/llama2-7b/versions/${VERSION}`,
	};
	it.each([
		["a deployment", addressOf()],
		["a version", versioned],
	])(
		"%s is ready when Replicate knows it, and its version names the weights",
		async (_, address) => {
			fakeReplicate({ tokens: TOKENS });
			expect(await probeReplicate(address)).toEqual({
				status: "ready",
				model: "llama2-7b",
				digest: VERSION,
				slots: 3,
			});
		},
	);

	it("unknown, of another's token, or out of reach is away", async () => {
		const fake = fakeReplicate({ tokens: TOKENS });
		const away = { status: "away" };
		const other = "http://replicate.test/v1/deployments/acme/other";
		expect(await probeReplicate({ ...addressOf(), url: other })).toEqual(away);
		expect(await probeReplicate(addressOf({ token: "r8_x" }))).toEqual(away);
		fake.refusals.push({ to: "describe", status: 503, times: 1 });
		expect(await probeReplicate(addressOf())).toEqual(away);
		fake.away = true;
		expect(await probeReplicate(addressOf())).toEqual(away);
	});
});
