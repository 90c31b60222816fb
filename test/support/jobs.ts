/** Jobs on the real objects. `fetch` reaches fake workers in place of GPUs. */
import { evictDurableObject } from "cloudflare:test";
import { afterEach, vi } from "vitest";
import type { JobSpec } from "../../src/contract/job.ts";
import type { Sampling } from "../../src/contract/sampling.ts";
import { unwrap } from "../../src/errors.ts";
import type { Job } from "../../src/job/job.ts";
import { followLog, openJobLog } from "../../src/stream/follower.ts";
import { eventStream } from "../../src/stream/sse-writer.ts";
import {
	admissionOf,
	bindings,
	newAccount,
	type TestAccount,
} from "./account.ts";
import { FakeWorker, type Script } from "./fake-worker.ts";
import { ONE_EACH, oneEach } from "./prices.ts";

const workers = new Map<string, FakeWorker>();
/** The objects in the bucket, by path. */
export const bucket = new Map<string, ArrayBuffer>();

/** The workers as test/vitest.config.ts configures them. */
const SERVED = {
	nano: { host: "nano.test", key: "worker-key" },
	"vicuna-7b": { host: "vicuna.test", key: "vicuna-key" },
};

/**
 * No request leaves the test: fake workers answer for the models, and a bucket in memory at
 * `http://s3.test`.
 */
globalThis.fetch = async (input, init) => {
	const request = new Request(input as RequestInfo, init as RequestInit);
	const { hostname, pathname } = new URL(request.url);
	const worker = workers.get(hostname);
	if (worker) return worker.fetch(request);
	if (hostname !== "s3.test") throw new TypeError(`no way to ${hostname}`);
	if (request.method === "PUT")
		bucket.set(pathname, await request.arrayBuffer());
	else if (request.method === "DELETE") bucket.delete(pathname);
	else if (!bucket.has(pathname)) return new Response(null, { status: 404 });
	return new Response(
		request.method === "GET" ? (bucket.get(pathname) as ArrayBuffer) : null,
	);
};

/** Starts the test's worker for a model. */
export function fakeWorker(
	script: Script | ((prompt: string) => Script),
	model: keyof typeof SERVED = "nano",
): FakeWorker {
	const worker = new FakeWorker(script);
	const { host, key } = SERVED[model];
	Object.assign(worker, { model, key });
	workers.set(host, worker);
	return worker;
}

afterEach(async () => {
	vi.restoreAllMocks();
	workers.clear();
	// The next test has another worker: the Pool must forget this one.
	for (const model of Object.keys(SERVED)) {
		const pool = bindings.POOL.get(bindings.POOL.idFromName(model));
		await evictDurableObject(pool).catch(() => {});
	}
});

export interface TestJob {
	id: string;
	account: TestAccount;
	spec: JobSpec;
	/** Makes a new stub, because a stub stays broken after its object was aborted. */
	stub: () => DurableObjectStub<Job>;
}

/** What a job costs that asks "What is this?" and gets so many tokens, at one micro-USD each. */
export const paid = (outputTokens: number) =>
	oneEach({
		prompt_tokens: "What is this?".length,
		output_tokens: outputTokens,
	});

/** What an account of 1,000,000 has after it paid that. */
export const left = (outputTokens: number) => ({
	available: 1_000_000 - paid(outputTokens).price,
	held: 0,
});

/** Micro-USD held for each job: more than it costs, unless a test says otherwise. */
export const HOLD = 10_000;

/** A job that is admitted and not started. */
export async function admittedJob(
	{
		prompt = "What is this?",
		...part
	}: Partial<Omit<JobSpec, "sampling" | "messages">> & {
		prompt?: string;
		sampling?: Partial<Sampling>;
	} = {},
	account?: TestAccount,
): Promise<TestJob> {
	const owner = account ?? (await newAccount(1_000_000));
	const { maxPrice = HOLD, prices = ONE_EACH } = part;
	const admission = admissionOf(owner, { maxPrice, prices });
	const id = admission.jobId;
	const { cacheSalt, createdAt } = unwrap(await owner.stub.admit(admission));
	const spec: JobSpec = {
		account: owner.id,
		id,
		model: "nano",
		messages: [
			{
				role: "user",
				content: [
					...(part.images ?? []).map(() => ({ type: "image" as const })),
					{ type: "text", text: prompt },
				],
			},
		],
		followUp: null,
		images: [],
		metadata: {},
		cacheSalt,
		createdAt,
		prices,
		maxPrice,
		mostPromptTokens: 2048,
		expiresIn: 604_800,
		onDisconnect: "continue",
		startBy: Date.parse(createdAt) + 3_600_000,
		endBy: Date.parse(createdAt) + 6 * 3_600_000,
		cancelAt: null,
		trace: null,
		...part,
		sampling: {
			max_tokens: 300,
			temperature: 0,
			top_p: 1,
			repetition_penalty: 1,
			seed: 7,
			stop: [],
			...part.sampling,
		},
	};
	const stub = () =>
		bindings.JOB.get(bindings.JOB.idFromName(`${owner.id}/${id}`));
	return { id, account: owner, spec, stub };
}

export async function startedJob(
	...args: Parameters<typeof admittedJob>
): Promise<TestJob> {
	const job = await admittedJob(...args);
	unwrap(await job.stub().start(job.spec));
	return job;
}

export interface Read {
	seq: number;
	type: string;
	// biome-ignore lint/suspicious/noExplicitAny: the wire is what these tests look at
	data: any;
	/** The event's bytes as text. */
	raw: string;
}

/** Reads server-sent events until the stream ends; or until `until` is true, and hangs up. */
export async function read(
	stream: ReadableStream<Uint8Array>,
	until: (event: Read) => boolean = () => false,
): Promise<Read[]> {
	const events: Read[] = [];
	const decoder = new TextDecoder();
	const reader = stream.getReader();
	let text = "";
	for (;;) {
		const { done, value } = await reader.read();
		if (done) return events;
		text += decoder.decode(value, { stream: true });
		for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
			const block = text.slice(0, end + 2);
			text = text.slice(end + 2);
			// Comments and `retry` lines may precede an event.
			const [raw = "", seq, type, data] =
				/^id: (\d+)\nevent: (\S+)\ndata: ([^\n]*)\n\n/m.exec(block) ?? [];
			if (!seq || !type || !data) continue;
			const event = { seq: Number(seq), type, data: JSON.parse(data), raw };
			events.push(event);
			if (until(event)) {
				await reader.cancel();
				return events;
			}
		}
	}
}

/** A job's events after `after`, read from the stream that the Worker writes. */
export async function events(
	job: TestJob,
	after = 0,
	until?: (event: Read) => boolean,
): Promise<Read[]> {
	const open = openJobLog(bindings, job.account.id, job.id);
	const first = await open(after);
	if (first.status !== 101) throw new Error(`opened with ${first.status}`);
	const never = new AbortController().signal;
	const follow = followLog(open, first, after);
	return read(eventStream({ follow, signal: never }), until);
}

export const textOf = (read: Read[]): string =>
	read
		.filter(({ type }) => type === "token")
		.map(({ data }) => data.text)
		.join("");

export const types = (read: Read[]): string[] => [
	...read.map(({ type }) => type).filter((type, n, all) => type !== all[n - 1]),
];

export const money = async (account: TestAccount) => {
	const { available, held } = unwrap(await account.stub.show()).account;
	return { available, held };
};

/** Tokens of one word each. */
export const words = (count: number, from = 0): string[] =>
	Array.from({ length: count }, (_, n) => ` word${from + n}`);

/** A promise that the test resolves. */
export function gate(): { opened: Promise<void>; open: () => void } {
	let open = () => {};
	const opened = new Promise<void>((resolve) => {
		open = resolve;
	});
	return { opened, open };
}
