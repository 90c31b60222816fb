/**
 * The SDK as its users have it, against a real edge: the real nano worker, and a scripted one where
 * an answer must last.
 */
import { execFile } from "node:child_process";
import { randomFillSync } from "node:crypto";
import { once } from "node:events";
import { createReadStream } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { join, normalize } from "node:path";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { chromium } from "playwright-core";
import {
	afterAll,
	beforeAll,
	describe,
	expect,
	it,
	onTestFinished,
} from "vitest";
import { root } from "../../scripts/paths.mjs";
import { findChromium } from "../../scripts/setup/chromium.mjs";
import type {
	Job,
	MiniGPT4,
	NewJob,
	UploadSource,
} from "../../sdk/src/index.ts";
import { FakeWorker } from "../support/fake-worker.ts";
import { serve } from "../support/fake-worker-server.ts";
import { sumOf } from "../support/prices.ts";
import { cuttingProxy } from "./cutting-proxy.ts";
import { type Deployment, deploy } from "./deployment.ts";
import { type Installed, installSDK, type SDK } from "./packed-sdk.ts";

const MB = 1024 * 1024;
const CAT = "samples/cat.jpg";
const run = promisify(execFile);

/** Answers with as many words as the prompt says, slowly. */
const WORDS = Array.from({ length: 300 }, (_, n) => ` word${n}—猫`);
const scripted = new FakeWorker(() => ({ tokens: WORDS, every: 30 }));
scripted.model = "vicuna-7b";
scripted.allowed = ["127.0.0.1"];
const LONG: NewJob = {
	model: "vicuna-7b",
	images: [CAT],
	prompt: "Tell me everything.",
	max_tokens: 2048,
	temperature: 0,
};
const SHORT: NewJob = {
	model: "nano",
	images: [CAT],
	prompt: "What is in this picture?",
	max_tokens: 24,
	temperature: 0,
};

let installed: Installed;
let stack: Deployment;
let client: MiniGPT4;
let hooks: Awaited<ReturnType<typeof receiver>>;
const clientAt = (baseURL: string) =>
	new installed.sdk.MiniGPT4({ apiKey: stack.key, baseURL });

/** Takes webhooks, and keeps them as they came. */
async function receiver() {
	const received: { headers: IncomingHttpHeaders; body: string }[] = [];
	const server = createServer(async (request, answer) => {
		received.push({ headers: request.headers, body: await text(request) });
		answer.writeHead(204).end();
	});
	server.listen(0, "127.0.0.1");
	await once(server, "listening");
	const { port } = server.address() as AddressInfo;
	return {
		url: `http://127.0.0.1:${port}/hook`,
		received,
		stop: () => void server.close(),
	};
}

beforeAll(async () => {
	installed = await installSDK();
	hooks = await receiver();
	const vars = { EGRESS_ALLOW: new URL(hooks.url).host };
	stack = await deploy(vars, undefined, async ({ secrets }) => {
		scripted.key = secrets.workerKey;
		return { "vicuna-7b": await serve(scripted) };
	});
	client = clientAt(stack.url);
});
afterAll(async () => {
	await stack?.stop();
	hooks?.stop();
	await installed?.remove();
});

describe("the package", () => {
	it("brings its code, its types and nothing else", async () => {
		const manifest = JSON.parse(
			await readFile(join(installed.path, "package.json"), "utf8"),
		);
		expect(manifest.dependencies ?? {}).toEqual({});
		expect(
			installed.files.filter(
				(path) =>
					!/^(dist\/.+\.(js|d\.ts)|(dist\/cjs\/)?package\.json|README\.md|LICENSE)$/.test(
						path,
					),
			),
		).toEqual([]);
		expect(installed.files).toContain("README.md");
	});

	it("has types that a strict program compiles with, by way of its exports", async () => {
		await writeFile(
			join(installed.folder, "program.ts"),
			`import { APIError, MiniGPT4, webhooks, type Job } from "minigpt4";
const client = new MiniGPT4();
export async function ask(): Promise<string> {
	try {
		const job: Job = await client.jobs.run({ images: ["a.jpg", new Blob()], task: "describe" });
		for await (const event of client.jobs.events(job.id))
			if (event.type === "token") event.data.text.toUpperCase();
		for await (const { id } of client.jobs.list()) await client.jobs.delete(id);
		// @ts-expect-error there is no such task
		client.jobs.stream({ images: [], task: "paint" });
		return job.output.text;
	} catch (error) {
		if (error instanceof APIError && error.code === "insufficient_credit") return "";
		// @ts-expect-error there is no such code
		if (error instanceof APIError && error.code === "no_such_code") return "";
		throw error;
	}
}
export const received = (body: string, headers: Headers) =>
	webhooks.verify(body, headers, "whsec_");
`,
		);
		for (const [module, resolution] of [
			["nodenext", "nodenext"],
			["esnext", "bundler"],
		] as const)
			await run(
				join(root, "node_modules/.bin/tsc"),
				[
					"--strict",
					"--noEmit",
					"--target",
					"es2022",
					"--module",
					module,
					"--moduleResolution",
					resolution,
					"--lib",
					"es2023,dom,dom.iterable",
					"--types",
					"",
					"--exactOptionalPropertyTypes",
					"program.ts",
				],
				{ cwd: installed.folder },
			).catch((error) => {
				throw new Error(error.stdout);
			});
	});
});

describe("a job", () => {
	it("is run", async () => {
		const job = await client.jobs.run(SHORT);
		expect(job).toMatchObject({
			status: "succeeded",
			model: "nano",
		});
		expect(job.price).toBe(sumOf(job.price_parts ?? []));
		expect(job.output.text).toMatch(/cat/i);
		expect(await client.jobs.get(job.id)).toEqual(job);
	});

	it("is streamed, as events and as text, and both tell the same", async () => {
		const stream = client.jobs.stream(SHORT);
		const types = new Set<string>();
		let text = "";
		for await (const event of stream) {
			types.add(event.type);
			if (event.type === "token") text += event.data.text;
		}
		const job = await stream.job();
		expect(job.id).toBe(stream.id);
		expect(job.output.text).toBe(text);
		expect([...types]).toEqual(
			expect.arrayContaining(["job.queued", "token", "job.succeeded", "done"]),
		);
		let again = "";
		for await (const piece of client.jobs.events(job.id).text()) again += piece;
		expect(again).toBe(text);
	});

	it("is created under an id, however often it is sent, and paid for once", async () => {
		const { balance } = await client.account.get();
		const id = installed.sdk.ulid();
		const made = await Promise.all(
			[1, 2, 3].map(() => client.jobs.create(SHORT, { id })),
		);
		expect(new Set(made.map((job) => job.id))).toEqual(new Set([id]));
		const { price } = await client.jobs.events(id).job();
		expect((await client.account.get()).balance).toEqual({
			available: balance.available - Number(price),
			held: 0,
		});
	});

	it("is canceled, listed and deleted", async () => {
		const made = await client.jobs.create(LONG);
		await client.jobs.cancel(made.id);
		await expect(client.jobs.events(made.id).job()).rejects.toMatchObject({
			name: "JobError",
			code: "job_canceled",
			job: { id: made.id, status: "canceled" },
		});
		const ids: string[] = [];
		for await (const { id } of client.jobs.list({ limit: 2 })) ids.push(id);
		expect(ids.length).toBeGreaterThan(2);
		expect(new Set(ids).size).toBe(ids.length);
		expect(ids[0]).toBe(made.id);
		await client.jobs.delete(made.id);
		await expect(client.jobs.get(made.id)).rejects.toBeInstanceOf(
			installed.sdk.GoneError,
		);
		expect((await client.jobs.list({ limit: 1 }).page()).data[0]?.id).not.toBe(
			made.id,
		);
	});

	it("goes on after an abort, or ends with it where that was asked for", async () => {
		for (const [cancelOnAbort, ends] of [
			[false, "running"],
			[true, "canceled"],
		] as const) {
			const controller = new AbortController();
			const { signal } = controller;
			const stream = client.jobs.stream(LONG, { signal, cancelOnAbort });
			const reading = (async () => {
				for await (const _ of stream.text())
					controller.abort(new Error("enough"));
			})();
			await expect(reading).rejects.toThrow("enough");
			await sleep(500);
			await expect
				.poll(async () => (await client.jobs.get(stream.id)).status)
				.toBe(ends);
			await client.jobs.cancel(stream.id);
		}
	});
});

describe("an error of the API", () => {
	const refused = (call: Promise<unknown>) =>
		call.then(
			() => expect.unreachable(),
			(error) => error,
		);

	it("has its class, code, request id and what is wrong", async () => {
		const { sdk } = installed;
		const error = await refused(
			client.jobs.run({ ...SHORT, images: [CAT], max_tokens: 0 }),
		);
		expect(error).toBeInstanceOf(sdk.RequestError);
		expect(error).toMatchObject({
			code: "invalid_request",
			status: 400,
			field: "max_tokens",
			requestId: expect.stringMatching(/^req_/),
		});
		expect(await refused(client.jobs.get(sdk.ulid()))).toMatchObject({
			name: "NotFoundError",
			code: "job_not_found",
			status: 404,
		});
		expect(
			await refused(
				client.jobs.run({
					...SHORT,
					images: [{ upload: `img_${sdk.ulid()}` }],
				}),
			),
		).toMatchObject({ code: "upload_not_found", field: "images[0].upload" });
		const stranger = new sdk.MiniGPT4({
			apiKey: "mg_live_nobody",
			baseURL: stack.url,
		});
		expect(await refused(stranger.account.get())).toMatchObject({
			name: "AuthenticationError",
			code: "invalid_key",
			status: 401,
		});
	});
});

describe("an upload", () => {
	/** The sample photo, with more than 4 MiB of comments in it. */
	async function largePhoto(): Promise<Uint8Array<ArrayBuffer>> {
		const photo = await readFile(CAT);
		const comment = Buffer.alloc(65_537, 0x20);
		comment.writeUInt32BE(0xfffeffff, 0);
		const comments = Array.from({ length: 80 }, () => {
			randomFillSync(comment, 4);
			return Buffer.from(comment);
		});
		return new Uint8Array(
			Buffer.concat([photo.subarray(0, 2), ...comments, photo.subarray(2)]),
		);
	}

	it("comes from anywhere, and is an image of a job", async () => {
		const photo = new Uint8Array(await readFile(CAT));
		const web = createServer((_, answer) => answer.end(photo)).listen(0);
		onTestFinished(() => void web.close());
		const { port } = web.address() as AddressInfo;
		const sources: UploadSource[] = [
			CAT,
			photo,
			new Blob([photo]),
			new File([photo], "cat.jpg"),
			Readable.toWeb(createReadStream(CAT)) as ReadableStream<Uint8Array>,
			new URL(`http://127.0.0.1:${port}/cat.jpg`),
		];
		for (const source of sources) {
			const upload = await client.uploads.create(source);
			expect(upload).toMatchObject({
				status: "ready",
				content_type: "image/jpeg",
				bytes: photo.length,
			});
			expect(await client.uploads.get(upload.id)).toEqual(upload);
			await client.uploads.delete(upload.id);
			await expect(client.uploads.get(upload.id)).rejects.toMatchObject({
				code: "upload_not_found",
			});
		}
	});

	it("over 4 MiB goes to the store, is checked there, and tells how far it is", async () => {
		const photo = await largePhoto();
		expect(photo.length).toBeGreaterThan(5 * MB);
		const loaded: number[] = [];
		const upload = await client.uploads.create(photo, {
			onProgress: (progress) => loaded.push(progress.loaded),
		});
		expect(upload).toMatchObject({ status: "ready", bytes: photo.length });
		expect(loaded[0]).toBe(0);
		expect(loaded.at(-1)).toBe(photo.length);
		expect(loaded.length).toBeGreaterThan(10);
		const job = await client.jobs.run({
			...SHORT,
			images: [{ upload: upload.id }],
		});
		expect(job.output.text).toMatch(/cat/i);
	});
});

describe("a list of uploads", () => {
	it("goes over every page, newest first, and answers one page by its cursor", async () => {
		const own = new installed.sdk.MiniGPT4({
			apiKey: await stack.stranger(),
			baseURL: stack.url,
		});
		const photo = await readFile(CAT);
		const ids: string[] = [];
		for (let n = 0; n < 5; n++)
			ids.unshift((await own.uploads.create(new Uint8Array(photo))).id);
		const seen: string[] = [];
		for await (const { id } of own.uploads.list({ limit: 2 })) seen.push(id);
		expect(seen).toEqual(ids);
		const { next_cursor } = await own.uploads.list({ limit: 2 }).page();
		const cursor = next_cursor as string;
		const next = await own.uploads.list({ limit: 2, cursor }).page();
		expect(next.data.map(({ id }) => id)).toEqual(ids.slice(2, 4));
	});
});

describe("an account", () => {
	it("shows its balance, its keys and the models", async () => {
		const account = await client.account.get();
		expect(account.balance.available).toBeGreaterThan(0);
		const models = [];
		for await (const { id } of client.models.list()) models.push(id);
		expect(models).toEqual(["nano", "vicuna-7b"]);
		expect((await client.models.get("nano")).prices.images).toEqual({
			rate: 100_000,
			per: 1_000,
		});
		const made = await client.keys.create({ name: "of a test" });
		expect(
			(
				await new installed.sdk.MiniGPT4({
					apiKey: made.key,
					baseURL: stack.url,
				}).account.get()
			).id,
		).toBe(account.id);
		const once = { grace: 60, idempotencyKey: "a-rotation" };
		const rotated = await client.keys.rotate(made.id, once);
		expect(rotated.key).toMatch(/^mg_live_/);
		const again = await client.keys.rotate(made.id, once);
		expect(again).toMatchObject({ key: null, secrets: rotated.secrets });
		const found = await client.keys.get(made.id);
		expect(found.secrets).toHaveLength(2);
		expect(found.last_used_at).not.toBeNull();
		const { revoked_at } = await client.keys.revoke(made.id);
		expect(revoked_at).not.toBeNull();
		const keys = [];
		for await (const { id, current } of client.keys.list())
			keys.push({ id, current });
		expect(keys.filter(({ current }) => current)).toHaveLength(1);
		expect(keys.map(({ id }) => id)).toContain(made.id);
	});
});

describe("what happens in an account", () => {
	it("is told by the feed, in pages and as it happens", async () => {
		const { last_seq: after } = await client.events.list({ limit: 1 }).page();
		const job = client.jobs.run(SHORT);
		const seen = [];
		for await (const event of client.events.stream({ after })) {
			seen.push(event);
			if (event.type === "job.succeeded") break;
		}
		const { id } = await job;
		expect(
			seen.map(({ seq, type, data }) => [seq, type, "id" in data && data.id]),
		).toEqual([
			[after + 1, "job.created", id],
			[after + 2, "job.succeeded", id],
		]);
		const listed = [];
		for await (const event of client.events.list({ after, limit: 1 }))
			listed.push(event);
		expect(listed).toEqual(seen);
		const types = ["job.succeeded" as const];
		expect((await client.events.list({ after, types }).page()).data).toEqual(
			seen.slice(1),
		);
	});

	it("is delivered to a webhook, which verifies it", async () => {
		const { sdk } = installed;
		const made = await client.webhooks.create({ url: hooks.url });
		expect(await client.webhooks.get(made.id)).toMatchObject({
			id: made.id,
			url: hooks.url,
			status: "enabled",
		});
		expect(await client.webhooks.test(made.id)).toMatchObject({
			status: "delivered",
			type: "webhook.test",
		});
		const job = await client.jobs.run(SHORT);
		await expect.poll(() => hooks.received.length).toBe(2);
		const [tested, ended] = hooks.received.map(({ body, headers }) => ({
			body,
			headers,
			verified: (secret: string, options = {}) =>
				sdk.webhooks.verify(body, headers, secret, options),
		}));
		expect((await tested?.verified(made.secret))?.type).toBe("webhook.test");
		expect(await ended?.verified(made.secret)).toMatchObject({
			type: "job.succeeded",
			data: { id: job.id, output: { text: job.output.text } },
		});
		await expect(
			ended?.verified(made.secret, { now: Date.now() + 301_000 }),
		).rejects.toMatchObject({ code: "timestamp_too_old" });
		await expect(
			sdk.webhooks.verify(`${ended?.body} `, ended?.headers ?? {}, made.secret),
		).rejects.toMatchObject({ code: "signature_mismatch" });

		const rotated = await client.webhooks.rotate(made.id);
		expect(rotated.secret).not.toBe(made.secret);
		await client.webhooks.test(made.id);
		const last = hooks.received.at(-1);
		for (const secret of [made.secret, rotated.secret])
			expect(
				await sdk.webhooks.verify(
					last?.body ?? "",
					last?.headers ?? {},
					secret,
				),
			).toMatchObject({ type: "webhook.test" });
		const types = [];
		for await (const { type } of client.webhooks.deliveries(made.id))
			types.push(type);
		expect(types).toContain("job.succeeded");
		await client.webhooks.update(made.id, { description: "of a test" });
		expect((await client.webhooks.list().page()).data).toMatchObject([
			{ id: made.id, description: "of a test" },
		]);
		await client.webhooks.delete(made.id);
		expect((await client.webhooks.list().page()).data).toEqual([]);
		expect((await client.webhooks.secret()).secret).toMatch(/^whsec_/);
	});
});

/** The job as it ended, if all that came piece by piece was its text. */
async function read(client: MiniGPT4, asked: NewJob): Promise<Job> {
	const stream = client.jobs.stream(asked);
	const seqs: number[] = [];
	let text = "";
	for await (const event of stream) {
		seqs.push(event.seq);
		if (event.type === "token") text += event.data.text;
	}
	expect(seqs).toEqual(seqs.map((_, n) => n + 1));
	const job = await stream.job();
	expect(job.output.text).toBe(text);
	return job;
}

describe("a stream gives the exact text", () => {
	it("through a proxy that breaks its connections at random, every second", async () => {
		const whole = (await client.jobs.run(SHORT)).output.text;
		for (const seed of [1, 2, 3]) {
			const proxy = await cuttingProxy(stack.url, seed);
			try {
				const through = clientAt(proxy.url);
				const [long, short] = await Promise.all([
					read(through, LONG),
					read(through, SHORT),
				]);
				expect(long.output.text).toBe(WORDS.join(""));
				expect(short.output.text).toBe(whole);
				expect(proxy.cuts()).toBeGreaterThan(4);
			} finally {
				await proxy.stop();
			}
		}
	});

	it("through kill -9 of the edge and its restart", async () => {
		const whole = (await client.jobs.run({ ...SHORT, max_tokens: 60 })).output
			.text;
		const { balance } = await client.account.get();
		const long = read(client, LONG);
		await sleep(2_500);
		const short = read(client, { ...SHORT, max_tokens: 60 });
		await sleep(500);
		await stack.crash();
		const jobs = await Promise.all([short, long]);
		expect(jobs.map(({ output }) => output.text)).toEqual([
			whole,
			WORDS.join(""),
		]);
		// Each was paid for once.
		const [one, other] = jobs.map(({ price }) => price as number);
		expect((await client.account.get()).balance).toEqual({
			available: balance.available - Number(one) - Number(other),
			held: 0,
		});
	});
});

describe("in a browser", () => {
	it("the client streams from a page of another origin, and stops when told", async () => {
		const pages = createServer(async ({ url = "" }, answer) => {
			if (url === "/") {
				answer.setHeader("Content-Type", "text/html");
				return answer.end(`<!doctype html><link rel="icon" href="data:,">
<script type="module">import * as sdk from "/dist/index.js"; window.sdk = sdk;</script>`);
			}
			answer.setHeader("Content-Type", "text/javascript");
			answer.end(await readFile(join(installed.path, normalize(url))));
		}).listen(0);
		const executablePath = findChromium();
		if (!executablePath)
			throw new Error("There is no Chromium; CHROMIUM=/path names one.");
		const browser = await chromium.launch({
			executablePath,
			args: ["--no-sandbox"],
		});
		onTestFinished(async () => {
			await browser.close();
			pages.close();
		});
		const page = await browser.newPage();
		await page.goto(
			`http://localhost:${(pages.address() as AddressInfo).port}/`,
		);
		await page.waitForFunction(() => "sdk" in window);
		const photo = (await readFile(CAT)).toString("base64");
		const seen = await page.evaluate(
			async ({ apiKey, baseURL, photo, short, long }) => {
				const { MiniGPT4 } = (window as never as { sdk: SDK }).sdk;
				const client = new MiniGPT4({ apiKey, baseURL });
				const image = await (
					await fetch(`data:image/jpeg;base64,${photo}`)
				).blob();
				const told: number[] = [];
				const upload = await client.uploads.create(image, {
					onProgress: ({ loaded }) => told.push(loaded),
				});
				const stream = client.jobs.stream({
					...short,
					images: [{ upload: upload.id }],
				});
				let text = "";
				for await (const piece of stream.text()) text += piece;
				const job = await stream.job();
				const controller = new AbortController();
				const stopped = client.jobs.stream(
					{ ...long, images: [image] },
					{ signal: controller.signal, cancelOnAbort: true },
				);
				const reason = await (async () => {
					for await (const _ of stopped.text()) controller.abort();
				})().catch((error: Error) => error.name);
				const error = await client.jobs
					.get("nothing")
					.catch((error: unknown) => error);
				return {
					text,
					job: job.output.text,
					told,
					size: image.size,
					reason,
					stopped: stopped.id,
					code: (error as { code: string }).code,
				};
			},
			{
				apiKey: stack.key,
				baseURL: stack.url,
				photo,
				short: { ...SHORT, images: [] },
				long: { ...LONG, images: [] },
			},
		);
		expect(seen.text).toBe(seen.job);
		expect(seen.text).toMatch(/cat/i);
		expect(seen.told).toEqual([0, seen.size]);
		expect(seen.reason).toBe("AbortError");
		expect(seen.code).toBe("job_not_found");
		await expect
			.poll(async () => (await client.jobs.get(seen.stopped)).status)
			.toBe("canceled");
	});
});
