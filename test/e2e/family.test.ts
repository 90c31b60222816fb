/**
 * A model of the MiniGPT-4 family on the whole road: original files, a checkpoint made of them, a
 * worker that serves it beside nano, and answers through the edge. The files are small and their
 * weights are random, so the text means nothing; what is shown is that every step takes what the
 * one before made.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import * as paths from "../../scripts/paths.mjs";
import { startWorker } from "../../scripts/stack.mjs";
import { sumOf } from "../support/prices.ts";
import { type BreakingProxy, proxyTo } from "./breaking-proxy.ts";
import { Client, read, textOf } from "./client.ts";
import { type Deployment, deploy } from "./deployment.ts";

const MODEL = "vicuna-7b";

let folder: string;
let deployment: Deployment;
let client: Client;
/** Between the edge and the worker of the family's model. */
let proxy: BreakingProxy | undefined;
let photo: Buffer;

const worker = (...args: string[]) =>
	promisify(execFile)(paths.worker, args, { timeout: 300_000 });

beforeAll(async () => {
	folder = await mkdtemp(join(tmpdir(), "minigpt4-family-"));
	const [files, checkpoint] = [
		join(folder, "files"),
		join(folder, "checkpoint"),
	];
	await worker("synth", MODEL, "--size", "small", "--out", files);
	await worker(
		"assemble",
		MODEL,
		"--from",
		files,
		"--synthetic",
		"--out",
		checkpoint,
	);
	deployment = await deploy({}, undefined, async ({ s3, ...place }) => {
		const server = await startWorker({
			...place,
			model: MODEL,
			checkpoint,
			imagesFrom: [s3],
			args: ["--kv-cache-mib", "64"],
		});
		await server.ready;
		proxy = await proxyTo(server.url);
		return { [MODEL]: { url: proxy.url, stop: server.stop } };
	});
	client = new Client(deployment.url, deployment.key);
	photo = await readFile(join(paths.root, "samples/cat.jpg"));
});

afterAll(async () => {
	await deployment?.stop();
	await proxy?.stop();
	if (folder) await rm(folder, { recursive: true, force: true });
});

const inline = () => ({
	url: `data:image/jpeg;base64,${photo.toString("base64")}`,
});
const question = (more: object = {}) => ({
	model: MODEL,
	images: [inline()],
	prompt: "What is in this picture?",
	temperature: 0,
	repetition_penalty: 1,
	max_tokens: 24,
	...more,
});
const SSE = { Accept: "text/event-stream" };

test("the model is listed beside nano, and answers token by token, at its own price", async () => {
	const list = await client.get("/models");
	expect(list.data).toMatchObject([
		{ id: "nano" },
		{
			id: MODEL,
			prices: { images: { rate: 500_000, per: 1_000 } },
			image_tokens: 32,
			context_length: 2048,
		},
	]);
	const before = await client.balance();
	const answer = await client.post("/jobs", question(), SSE);
	expect(answer.status).toBe(200);
	const seen = await read(answer);
	const text = textOf(seen);
	expect(seen.at(-2)?.type).toBe("job.succeeded");
	const { price, price_parts } = seen.at(-2)?.data ?? {};
	expect(price).toBe(sumOf(price_parts));
	expect(seen.at(-1)).toMatchObject({
		type: "done",
		data: { sha256: createHash("sha256").update(text).digest("hex") },
	});
	const job = await client.get(`/jobs/${seen[0]?.data.id}`);
	expect(job).toMatchObject({
		model: MODEL,
		status: "succeeded",
		output: { text },
		price,
		price_parts,
	});
	expect(job.usage.output_tokens).toBeGreaterThan(8);
	// The image takes its 32 tokens, the template and the question the rest.
	expect(job.usage.prompt_tokens).toBeGreaterThan(32 + 10);
	expect(await client.balance()).toEqual({
		available: before.available - price,
		held: 0,
	});
});

test("asked twice it says the same; another photo or nano gets another answer", async () => {
	const said = async (more: object = {}) =>
		textOf(await client.events(await client.create(question(more))));
	const first = await said();
	expect(await said()).toBe(first);
	const sent = await client.call("/uploads", {
		method: "POST",
		headers: { "Content-Type": "image/jpeg" },
		body: new Uint8Array(photo),
	});
	const { id } = await sent.json();
	expect(await said({ images: [{ upload: id }] })).toBe(first);
	const rocket = await readFile(join(paths.root, "samples/rocket.jpg"));
	const url = `data:image/jpeg;base64,${rocket.toString("base64")}`;
	expect(await said({ images: [{ url }] })).not.toBe(first);
	expect(await said({ model: "nano" })).not.toBe(first);
});

test("its worker's connection breaks mid-answer: the answer is the uninterrupted one", async () => {
	const plain = textOf(await client.events(await client.create(question())));
	proxy?.breaks.push(3);
	const seen = await client.events(await client.create(question()));
	expect(
		seen
			.filter(({ type }) => type === "job.retrying")
			.map(({ data }) => data.reason),
	).toEqual(["broken_stream"]);
	expect(textOf(seen)).toBe(plain);
	expect(seen.at(-2)?.data).toMatchObject({
		status: "succeeded",
		price: sumOf(seen.at(-2)?.data.price_parts),
	});
});

test("two photos in one question; a prompt that cannot fit is refused before it runs", async () => {
	const both = await client.create(
		question({ images: [inline(), inline()], prompt: "Compare these." }),
	);
	await client.events(both);
	expect(await client.get(`/jobs/${both}`)).toMatchObject({
		status: "succeeded",
		usage: { images: 2 },
	});
	const long = await client.post(
		"/jobs",
		question({ prompt: "a b c d ".repeat(600) }),
	);
	expect(long.status).toBe(400);
	expect(await long.json()).toMatchObject({ code: "context_length_exceeded" });
});
