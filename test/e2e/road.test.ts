/**
 * The whole road on the real stack: a photo goes up, a job is asked, nano answers token by token.
 */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { root } from "../../scripts/paths.mjs";
import type { PricePart } from "../../src/pricing/bill.ts";
import { sumOf } from "../support/prices.ts";
import { type BreakingProxy, proxyTo } from "./breaking-proxy.ts";
import { Client, read, type Seen, textOf } from "./client.ts";
import { type Deployment, deploy } from "./deployment.ts";

let deployment: Deployment;
let client: Client;
/** Between edge and worker. */
let proxy: BreakingProxy | undefined;
let photo: string;

beforeAll(async () => {
	deployment = await deploy({}, async (worker) => {
		proxy = await proxyTo(worker);
		return proxy.url;
	});
	client = new Client(deployment.url, deployment.key);
	photo = await upload("cat.jpg");
});

afterAll(async () => {
	await deployment?.stop();
	await proxy?.stop();
});

/** Straight to the bucket, then finalized. */
async function upload(sample: string): Promise<string> {
	const bytes = await readFile(join(root, "samples", sample));
	const asked = await client.post("/uploads", {
		content_type: "image/jpeg",
		bytes: bytes.length,
		sha256: createHash("sha256").update(bytes).digest("hex"),
	});
	expect(asked.status).toBe(201);
	const { id, put } = await asked.json();
	const sent = await fetch(put.url, {
		method: "PUT",
		headers: put.headers,
		body: bytes,
	});
	expect(sent.status).toBe(200);
	const done = await client.call(`/uploads/${id}/finalize`, { method: "POST" });
	expect(done.status).toBe(200);
	return id;
}

const question = (more: object = {}) => ({
	images: [{ upload: photo }],
	prompt: "What is in this picture?",
	temperature: 0,
	max_tokens: 48,
	...more,
});

const raw = (seen: Seen[]): string => seen.map((event) => event.raw).join("\n");

test("a photo in, an answer out, token by token; a resumed reader gets the same", async () => {
	const before = await client.balance();
	// So hot that the answer is long: what comes in one piece is not seen to stream.
	const hot = { temperature: 2, top_p: 1, max_tokens: 64 };
	const answer = await client.post("/jobs", question(hot), {
		Accept: "text/event-stream",
	});
	expect(answer.status).toBe(200);
	const seen = await read(answer);
	const text = textOf(seen);
	expect(text.length).toBeGreaterThan(3);
	expect(seen.filter(({ type }) => type === "token").length).toBeGreaterThan(1);
	expect(seen.at(-1)).toMatchObject({
		type: "done",
		data: { sha256: createHash("sha256").update(text).digest("hex") },
	});
	const id = seen[0]?.data.id;
	expect(answer.headers.get("Location")).toBe(
		`${deployment.url}/v1/jobs/${id}`,
	);
	for (let after = 0; after < seen.length; after++)
		expect(raw(await client.events(id, after))).toBe(raw(seen.slice(after)));
	const job = await client.get(`/jobs/${id}`);
	expect(job).toMatchObject({
		status: "succeeded",
		output: { text },
		usage: { images: 1 },
		price_version: (await client.get("/models/nano")).prices.version,
	});
	const { prompt_tokens, output_tokens, images } = job.usage;
	expect(job.price_parts.map((part: PricePart) => part.quantity)).toEqual([
		prompt_tokens,
		output_tokens,
		images,
	]);
	expect(job.price).toBe(sumOf(job.price_parts));
	expect(await client.balance()).toEqual({
		available: before.available - job.price,
		held: 0,
	});
});

test("the worker's connection breaks twice: the answer is the uninterrupted one", async () => {
	const long = question({ task: "describe", prompt: undefined });
	const plain = textOf(await client.events(await client.create(long)));
	proxy?.breaks.push(2, 2);
	const seen = await client.events(await client.create(long));
	const retries = seen.filter(({ type }) => type === "job.retrying");
	expect(retries.map(({ data }) => data.reason)).toEqual([
		"broken_stream",
		"broken_stream",
	]);
	expect(textOf(seen)).toBe(plain);
	expect(seen.at(-2)?.data).toMatchObject({
		status: "succeeded",
		price: sumOf(seen.at(-2)?.data.price_parts),
	});
});

test("a cap ends the answer one token before it, with its beginning kept", async () => {
	const story = { images: [], prompt: "Tell me a long story." };
	const whole = await client.create(question(story));
	const plain = textOf(await client.events(whole));
	for (const max_price of [2, 4]) {
		const id = await client.create(question({ ...story, max_price }));
		const seen = await client.events(id);
		expect(plain.startsWith(textOf(seen))).toBe(true);
		const end = seen.at(-2)?.data;
		expect(end).toMatchObject({ status: "succeeded", finish_reason: "budget" });
		expect(end.price).toBe(sumOf(end.price_parts));
		expect(end.price).toBeLessThanOrEqual(max_price);
		const token = { amount: "0.200000" };
		expect(sumOf([...end.price_parts, token])).toBeGreaterThan(max_price);
	}
});

test("a quote bounds what a job costs, and is near it in nine of ten", async () => {
	const photos = [photo, await upload("coffee.jpg")];
	let near = 0;
	for (const prompt of [
		"What is in this picture?",
		"Which object can you see in this image?",
		"What is this a picture of?",
		"What would a person looking at this notice first?",
		"Give the name of what you are looking at.",
	])
		for (const upload of photos) {
			const body = question({ images: [{ upload }], prompt });
			const quote = await (await client.post("/quotes", body)).json();
			const id = await client.create({ ...body, quote: quote.quote });
			await client.events(id);
			const { price, price_parts } = await client.get(`/jobs/${id}`);
			expect(price).toBeLessThanOrEqual(quote.maximum);
			expect(quote.counted_by).toBe("tokenizer");
			expect(quote.expected_parts[0]).toEqual(price_parts[0]);
			if (Math.abs(quote.expected - price) <= 0.15 * price) near++;
		}
	expect(near).toBeGreaterThanOrEqual(9);
});

test("a stop string ends the answer before it, and the worker is told to stop", async () => {
	const plain = textOf(await client.events(await client.create(question())));
	const stop = plain.slice(
		Math.floor(plain.length / 2),
		Math.floor(plain.length / 2) + 4,
	);
	const seen = await client.events(await client.create(question({ stop })));
	expect(textOf(seen)).toBe(plain.slice(0, plain.indexOf(stop)));
	expect(seen.at(-2)?.data.finish_reason).toBe("stop");
});

test("what only the tokenizer shows to be too long fails at price 0", async () => {
	const before = await client.balance();
	const id = await client.create(
		// One word of 10,000 letters: at least a hundred tokens, as far as the edge can tell.
		question({ prompt: "qzxvk".repeat(2_000) }),
	);
	const seen = await client.events(id);
	expect(seen.at(-2)).toMatchObject({
		type: "job.failed",
		data: { price: 0, error: { code: "context_length_exceeded" } },
	});
	expect(await client.balance()).toEqual(before);
	const answer = await client.post("/jobs", question(), { Prefer: "wait=60" });
	expect(answer.status).toBe(200);
	expect(await answer.json()).toMatchObject({ status: "succeeded" });
});

test("what only decoding shows to be broken fails at price 0, and the worker goes on", async () => {
	const before = await client.balance();
	const bytes = await readFile(
		join(root, "test/fixtures/images/place-lossless.webp"),
	);
	// The container and its picture's head stay; the compressed pixels behind them decode to nothing.
	const pixels = bytes.indexOf("VP8L") + 8;
	bytes.fill(0xff, pixels + 5, pixels + bytes.readUInt32LE(pixels - 4));
	const url = `data:image/webp;base64,${bytes.toString("base64")}`;
	const id = await client.create(question({ images: [{ url }] }));
	const seen = await client.events(id);
	expect(seen.at(-2)).toMatchObject({
		type: "job.failed",
		data: {
			price: 0,
			error: { code: "image_undecodable", field: "images[0]" },
		},
	});
	expect(await client.balance()).toEqual(before);
	const answer = await client.post("/jobs", question(), { Prefer: "wait=60" });
	expect(await answer.json()).toMatchObject({ status: "succeeded" });
});

/** Images that the worker's encoder has seen; cached ones do not count. */
async function encoded(): Promise<number> {
	const { worker, secrets } = deployment;
	const answer = await fetch(`${worker}/metrics`, {
		headers: { Authorization: `Bearer ${secrets.workerKey}` },
	});
	const line = /^minigpt4_images_encoded_total (\S+)$/m.exec(
		await answer.text(),
	);
	return Number(line?.[1]);
}

test("an account's image is encoded once for all its jobs, and again for another one", async () => {
	const bytes = await readFile(join(root, "samples/rocket.jpg"));
	const url = `data:image/jpeg;base64,${bytes.toString("base64")}`;
	const stranger = new Client(deployment.url, await deployment.stranger());
	const runs = [await encoded()];
	for (const caller of [client, client, stranger, stranger]) {
		const answer = await caller.post(
			"/jobs",
			question({ images: [{ url }], max_tokens: 2 }),
			{ Prefer: "wait=60" },
		);
		expect(await answer.json()).toMatchObject({ status: "succeeded" });
		runs.push(await encoded());
	}
	expect(runs.map((run) => run - (runs[0] as number))).toEqual([0, 1, 1, 2, 2]);
});
