/**
 * Callers that hang up, and what their jobs cost. The runtime itself says when a client is gone:
 * nothing stands before it.
 */
import { request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import OpenAI from "openai";
import {
	afterAll,
	afterEach,
	beforeAll,
	beforeEach,
	describe,
	expect,
	test,
} from "vitest";
import { sumOf } from "../support/prices.ts";
import { type BreakingProxy, proxyTo } from "./breaking-proxy.ts";
import { Client } from "./client.ts";
import { type Deployment, deploy } from "./deployment.ts";

/** The promise, and what a busy machine may take to keep it: more for many calls at once. */
const WITHIN_MS = 2_000 + 1_500;
const ALL_WITHIN_MS = 2_000 + 3_000;
/** Tokens that come before the worker pauses. */
const SHOWN = 3;
const MOST = 100;

let deployment: Deployment;
let proxy: BreakingProxy | undefined;
let apiKey: string;
let client: Client;

beforeAll(async () => {
	deployment = await deploy({}, async (worker) => {
		proxy = await proxyTo(worker);
		return proxy.url;
	});
});

beforeEach(async () => {
	apiKey = await deployment.stranger();
	client = new Client(deployment.url, apiKey);
	if (proxy) proxy.stall = SHOWN;
});

afterEach(() => {
	if (proxy) proxy.stall = null;
});

afterAll(async () => {
	await deployment?.stop();
	await proxy?.stop();
});

const STORY = { prompt: "Tell me a long story.", max_tokens: MOST };
const CHAT = {
	model: "nano",
	messages: [{ role: "user" as const, content: "Tell me a long story." }],
	max_tokens: MOST,
};

interface Way {
	path: string;
	body: object;
	headers?: Record<string, string>;
}
const WAYS: Record<string, Way> = {
	"a completion": { path: "/chat/completions", body: CHAT },
	"a completion that streams": {
		path: "/chat/completions",
		body: { ...CHAT, stream: true },
	},
	"a job that is waited for": {
		path: "/jobs",
		body: { ...STORY, on_disconnect: "cancel" },
		headers: { Prefer: "wait=60" },
	},
};

/**
 * Calls and hangs up after a while, whatever came by then.
 * @returns when, in milliseconds since 1970
 */
async function leave(
	{ path, body, headers = {} }: Way,
	after: number,
	by: "fetch" | "socket" | "reset",
): Promise<number> {
	const all = {
		...headers,
		"Content-Type": "application/json",
		Authorization: `Bearer ${apiKey}`,
	};
	const url = `${deployment.url}/v1${path}`;
	const init = { method: "POST", headers: all };
	if (by === "fetch") {
		const left = new AbortController();
		void fetch(url, {
			...init,
			body: JSON.stringify(body),
			signal: left.signal,
		})
			.then((answer) => answer.text())
			.catch(() => {});
		await sleep(after);
		left.abort();
	} else {
		const call = request(url, { ...init, agent: false });
		call
			.on("error", () => {})
			.on("response", (answer) => {
				answer.on("error", () => {}).resume();
			});
		call.end(JSON.stringify(body));
		await sleep(after);
		if (by === "reset") call.socket?.resetAndDestroy();
		else call.destroy();
	}
	return Date.now();
}

/** The account's jobs once all have ended, newest first. */
const endedJobs = (count: number) =>
	expect
		.poll(
			async () => {
				const { data } = await client.get("/jobs");
				return data.filter(
					({ status }: { status: string }) => status !== "accepted",
				);
			},
			{ timeout: 30_000, interval: 500 },
		)
		.toHaveLength(count)
		.then(async () => {
			const { data } = await client.get("/jobs");
			expect(data).toHaveLength(count);
			return Promise.all(
				data.map(({ id }: { id: string }) => client.get(`/jobs/${id}`)),
			);
		});

describe("a call that is hung up on ends its job in two seconds, and pays what it wrote", () => {
	test.each(
		Object.entries(WAYS).flatMap(([name, way]) =>
			(
				[
					["fetch", [300, 1_000, 3_000]],
					["socket", [300, 1_000, 3_000]],
					["reset", [20, 300, 700, 1_500]],
				] as const
			).flatMap(([by, moments]) =>
				moments.map((after) => [name, by, after, way] as const),
			),
		),
	)("%s, by %s after %i ms", async (_, by, after, way) => {
		const left = await leave(way, after, by);
		const [job] = await endedJobs(1);
		expect(job.status).toBe("canceled");
		expect(Date.parse(job.finished_at) - left).toBeLessThan(WITHIN_MS);
		// A call that was left at once may have ended before its first token.
		expect(job.usage.output_tokens).toBeLessThanOrEqual(SHOWN);
		expect(job.price).toBe(sumOf(job.price_parts));
		const { held } = await client.balance();
		expect(held).toBe(0);
	});

	test("thirteen of thirteen, also those that wait in the queue", async () => {
		const way = WAYS["a completion"] as Way;
		const left = await Promise.all(
			Array.from({ length: 13 }, () => leave(way, 1_000, "fetch")),
		);
		for (const job of await endedJobs(13)) {
			expect(job.status).toBe("canceled");
			expect(Date.parse(job.finished_at) - Math.max(...left)).toBeLessThan(
				ALL_WITHIN_MS,
			);
			expect(job.price).toBe(sumOf(job.price_parts));
		}
	});
});

test("a job that may go on without its caller does", async () => {
	const way = { ...(WAYS["a job that is waited for"] as Way), body: STORY };
	await leave(way, 1_500, "fetch");
	await sleep(3_000);
	if (proxy) proxy.stall = null;
	const [job] = await endedJobs(1);
	expect(job).toMatchObject({ status: "succeeded" });
	expect(job.price).toBe(sumOf(job.price_parts));
});

describe("a client with a timeout of less than a second and two retries", () => {
	/** The count that each try of OpenAI's client sends. */
	const counted = () => {
		const tries: (string | null)[] = [];
		const api = new OpenAI({
			apiKey,
			baseURL: `${deployment.url}/v1`,
			// Less than the second after which an answer begins anyhow.
			timeout: 700,
			maxRetries: 2,
			fetch: (url, init) => {
				tries.push(new Headers(init?.headers).get("X-Stainless-Retry-Count"));
				return fetch(url, init);
			},
		});
		return { tries, api };
	};

	/** Few tokens: a busy machine says them within a second, too. */
	const BRIEF = { ...CHAT, max_tokens: 4 };

	test.each([false, true])(
		"has one job, and pays one price (streamed: %s)",
		async (stream) => {
			const { tries, api } = counted();
			if (proxy) proxy.stall = 0;
			setTimeout(() => {
				if (proxy) proxy.stall = null;
			}, 1_200);
			let text = "";
			if (stream) {
				const answer = await api.chat.completions.create({ ...BRIEF, stream });
				for await (const { choices } of answer)
					text += choices[0]?.delta.content ?? "";
			} else {
				const { choices } = await api.chat.completions.create(BRIEF);
				text = choices[0]?.message.content ?? "";
			}
			expect(tries.length).toBeGreaterThan(1);
			const [job] = await endedJobs(1);
			expect(job).toMatchObject({ status: "succeeded" });
			expect(job.price).toBe(sumOf(job.price_parts));
			expect(job.output.text).toBe(text);
		},
	);

	test("that gives up has paid for one job's first tokens", async () => {
		const way = WAYS["a completion"] as Way;
		for (const count of [0, 1, 2]) {
			const headers = { "X-Stainless-Retry-Count": String(count) };
			await leave({ ...way, headers }, 1_000, "fetch");
			if (count < 2) await sleep(500 * 2 ** count);
		}
		const left = Date.now();
		const [job] = await endedJobs(1);
		expect(job.status).toBe("canceled");
		expect(Date.parse(job.finished_at) - left).toBeLessThan(WITHIN_MS);
		expect(job.usage.output_tokens).toBe(SHOWN);
		expect(job.price).toBe(sumOf(job.price_parts));
	});

	test("that comes back after its job was canceled has an answer all the same", async () => {
		const way = WAYS["a completion"] as Way;
		await leave(way, 1_000, "fetch");
		await endedJobs(1);
		if (proxy) proxy.stall = null;
		const repeat = { "X-Stainless-Retry-Count": "1" };
		const answer = await client.post(way.path, way.body, repeat);
		expect(answer.headers.get("Idempotent-Replayed")).toBe(null);
		const { choices } = (await answer.json()) as OpenAI.ChatCompletion;
		const jobs = await endedJobs(2);
		expect(jobs.map(({ status }) => status)).toEqual(["succeeded", "canceled"]);
		expect(jobs[1].usage.output_tokens).toBe(SHOWN);
		for (const { price, price_parts } of jobs)
			expect(price).toBe(sumOf(price_parts));
		expect(jobs[0].output.text).toBe(choices[0]?.message.content);
	});
});
