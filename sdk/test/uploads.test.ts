import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, it, onTestFinished } from "vitest";
import type { Progress } from "../src/index.ts";
import { clientOf, json, serve } from "./server.ts";

const MB = 1024 * 1024;
const cat = await readFile(new URL("../../samples/cat.jpg", import.meta.url));
/** Enough of a JPEG for the client, which checks the first bytes alone. */
const large = Buffer.concat([cat, randomBytes(5 * MB - cat.length)]);

async function fileOf(bytes: Uint8Array): Promise<string> {
	const folder = await mkdtemp(join(tmpdir(), "minigpt4-sdk-"));
	onTestFinished(() => rm(folder, { recursive: true }));
	const path = join(folder, "photo");
	await writeFile(path, bytes);
	return path;
}

/** A server that plays the API and the bucket. */
async function api(refusals: Record<string, number> = {}) {
	const server = await serve(({ method, path, headers, body }, response) => {
		const route = `${method} ${path}`;
		if ((refusals[route] ?? 0) > 0) {
			refusals[route] = Number(refusals[route]) - 1;
			return response.writeHead(500).end();
		}
		if (route === "GET /photo.jpg") return response.end(cat);
		if (route === "PUT /store?signature=1") return response.end();
		if (route === "POST /v1/uploads/img_2/finalize")
			return json(response, 200, { id: "img_2", status: "ready" });
		if (headers["content-type"] !== "application/json")
			return json(response, 201, { id: "img_1", status: "ready" });
		const { bytes, content_type, sha256 } = JSON.parse(String(body));
		json(response, 201, {
			id: "img_2",
			status: "pending",
			put: {
				url: `${server.url}/store?signature=1`,
				headers: {
					"Content-Type": content_type,
					"Content-Length": String(bytes),
					"x-amz-checksum-sha256": Buffer.from(sha256, "hex").toString(
						"base64",
					),
				},
			},
		});
	});
	return server;
}

describe("an image", () => {
	it("is the same from every source", async () => {
		const server = await api();
		const { uploads } = clientOf(server);
		const path = await fileOf(cat);
		const bytes = new Uint8Array(cat);
		const sources = [
			path,
			pathToFileURL(path),
			pathToFileURL(path).href,
			`${server.url}/photo.jpg`,
			new URL(`${server.url}/photo.jpg`),
			`data:image/jpeg;base64,${cat.toString("base64")}`,
			new Blob([bytes]),
			new File([bytes], "cat.jpg"),
			bytes,
			Buffer.from(bytes),
			bytes.buffer,
			new Blob([bytes]).stream(),
		];
		for (const source of sources) {
			expect(await uploads.create(source)).toMatchObject({ id: "img_1" });
			const { method, path, headers, body } = server.asked.at(-1) as never as {
				method: string;
				path: string;
				headers: Record<string, string>;
				body: Buffer;
			};
			expect([method, path]).toEqual(["POST", "/v1/uploads"]);
			expect(headers).toMatchObject({
				"content-type": "image/jpeg",
				"content-length": String(cat.length),
			});
			expect(body.equals(cat)).toBe(true);
		}
	});

	it("over 4 MiB goes to the bucket, without the key, and is finalized", async () => {
		const server = await api();
		const upload = await clientOf(server).uploads.create(large);
		expect(upload).toEqual({ id: "img_2", status: "ready" });
		const [announced, put, finalized] = server.asked;
		expect(JSON.parse(String(announced?.body))).toEqual({
			content_type: "image/jpeg",
			bytes: large.length,
			sha256: createHash("sha256").update(large).digest("hex"),
		});
		expect(put?.body.equals(large)).toBe(true);
		expect(put?.headers).toMatchObject({
			"content-length": String(large.length),
			"content-type": "image/jpeg",
		});
		expect(put?.headers).toHaveProperty("x-amz-checksum-sha256");
		expect(put?.headers.authorization).toBeUndefined();
		expect(finalized?.path).toBe("/v1/uploads/img_2/finalize");
	});

	it("is sent again if the bucket or the API fails", async () => {
		const server = await api({
			"POST /v1/uploads": 1,
			"PUT /store?signature=1": 2,
			"POST /v1/uploads/img_2/finalize": 1,
		});
		await clientOf(server).uploads.create(large);
		const puts = server.asked.filter(({ method }) => method === "PUT");
		expect(puts).toHaveLength(3);
		expect(puts[2]?.body.equals(large)).toBe(true);
		expect(server.asked).toHaveLength(7);
	});

	it("reports its progress", async () => {
		const server = await api();
		const seen: Progress[] = [];
		await clientOf(server).uploads.create(large, {
			onProgress: (progress) => seen.push(progress),
		});
		const loaded = seen.map(({ loaded }) => loaded);
		expect(loaded).toEqual([...loaded].sort((a, b) => a - b));
		expect(loaded[0]).toBe(0);
		expect(loaded.at(-1)).toBe(large.length);
		expect(loaded.length).toBeGreaterThan(10);
		expect(seen.every(({ total }) => total === large.length)).toBe(true);
	});

	it("that is invalid, too large or missing fails before anything is sent", async () => {
		const server = await api();
		const { uploads } = clientOf(server);
		const endless = new ReadableStream<Uint8Array>({
			pull: (controller) => controller.enqueue(new Uint8Array(MB)),
		});
		for (const [source, code] of [
			[new TextEncoder().encode("<html>"), "image_type_unsupported"],
			[new Uint8Array(), "image_type_unsupported"],
			[new Uint8Array(20 * MB + 1), "image_too_large"],
			[new Blob([new Uint8Array(20 * MB + 1)]), "image_too_large"],
			[await fileOf(new Uint8Array(20 * MB + 1)), "image_too_large"],
			[endless, "image_too_large"],
			["no/such/file.jpg", "file_unreadable"],
			["data:nonsense", "url_unreachable"],
		] as const)
			await expect(uploads.create(source)).rejects.toMatchObject({ code });
		expect(server.asked).toHaveLength(0);
	});

	it("is neither read nor sent after an abort", async () => {
		const server = await serve(() => {});
		const controller = new AbortController();
		const { signal } = controller;
		let canceled: unknown;
		const silent = new ReadableStream<Uint8Array>({
			cancel: (reason) => {
				canceled = reason;
			},
		});
		const { uploads } = clientOf(server);
		const reading = uploads.create(silent, { signal });
		const sending = uploads.create(cat, { signal });
		await expect.poll(() => server.asked.length).toBe(1);
		controller.abort(new Error("enough"));
		await expect(reading).rejects.toThrow("enough");
		await expect(sending).rejects.toThrow("enough");
		expect(canceled).toEqual(new Error("enough"));
		await expect.poll(server.hungUp).toBe(1);
	});

	it("of a job is uploaded once, before the job", async () => {
		const server = await serve(({ path }, response, n) => {
			if (path === "/v1/uploads") return json(response, 201, { id: "img_1" });
			if (n === 1) return response.destroy();
			json(response, 202, {});
		});
		await clientOf(server).jobs.create({
			images: [
				cat,
				{ upload: "img_9" },
				{ url: "https://example.com/a.jpg" },
				"https://example.com/b.jpg",
			],
			prompt: "Compare.",
		});
		expect(server.asked.map(({ method }) => method)).toEqual([
			"POST",
			"PUT",
			"PUT",
		]);
		expect(JSON.parse(String(server.asked[2]?.body)).images).toEqual([
			{ upload: "img_1" },
			{ upload: "img_9" },
			{ url: "https://example.com/a.jpg" },
			{ url: "https://example.com/b.jpg" },
		]);
	});
});
