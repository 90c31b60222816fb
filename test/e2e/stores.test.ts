/**
 * One list for every S3 that the edge runs on here: what its client (src/images/s3.ts) and its
 * presigned URLs rely on. Miniflare's R2 is the bucket of `npm start`; versitygw is a server that
 * has nothing to do with it.
 */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BUCKET, REGION } from "../../scripts/bucket.mjs";
import { freePort } from "../../scripts/ports.mjs";
import { type Secrets, secretsOf } from "../../scripts/secrets.mjs";
import { type Server, startS3 } from "../../scripts/stack.mjs";
import { startVersitygw } from "./versitygw.ts";

type Bytes = Uint8Array<ArrayBuffer>;
interface PresignedPut {
	url: string;
	headers: Record<string, string>;
}
/** Of src/images/s3.ts, whose own types are those of the Workers' runtime. */
interface Client {
	put(
		config: object,
		key: string,
		object: { bytes: Bytes; contentType: string; sha256: string },
	): Promise<void>;
	get(
		config: object,
		key: string,
		limit: number,
	): Promise<Bytes | "too_large" | null>;
	remove(config: object, key: string): Promise<void>;
	presignPut(
		config: object,
		key: string,
		object: { contentType: string; bytes: number; sha256: string },
		expiresIn: number,
	): Promise<PresignedPut>;
	presignGet(config: object, key: string): Promise<string>;
}
const s3: Client = await import(
	new URL("../../src/images/s3.ts", import.meta.url).href
);

const MB = 1024 * 1024;
const PAGE = "https://app.example.com";
const CORS_HEADERS = "content-type,x-amz-checksum-sha256";

const sha256 = (bytes: Uint8Array, as: "hex" | "base64" = "hex") =>
	createHash("sha256").update(bytes).digest(as);

/**
 * `checks`: whether it compares the bytes with their `x-amz-checksum-sha256`, or leaves that to
 * finalization.
 */
const STORES = [
	{ name: "Miniflare's R2", start: startS3, checks: false },
	{ name: "versitygw", start: startVersitygw, checks: true },
];

describe.each(STORES)("$name", ({ start, checks }) => {
	let state: string;
	let secrets: Secrets;
	let config: Record<string, string>;
	let server: Server;
	/** As before, on the same port and data. */
	let restart: () => Promise<void>;

	beforeAll(async () => {
		state = await mkdtemp(join(tmpdir(), "minigpt4-store-"));
		secrets = secretsOf(state);
		const port = await freePort();
		restart = async () => {
			server = await start({ port, state, secrets, origins: [PAGE] });
		};
		await restart();
		config = {
			S3_ENDPOINT: server.url,
			S3_REGION: REGION,
			S3_BUCKET: BUCKET,
			S3_ACCESS_KEY_ID: secrets.s3AccessKey,
			S3_SECRET_ACCESS_KEY: secrets.s3SecretKey,
		};
	});
	afterAll(async () => {
		await server?.stop();
		await rm(state, { recursive: true, force: true });
	});

	let made = 0;
	const newKey = () => `staging/account/upload-${made++}`;
	const bytesOf = (text: string) => new TextEncoder().encode(text.repeat(200));
	const PHOTO = bytesOf("photo");
	const stored = (key: string) => s3.get(config, key, MB);
	const store = (key: string, bytes = PHOTO) =>
		s3.put(config, key, {
			bytes,
			contentType: "image/jpeg",
			sha256: sha256(bytes),
		});
	const presigned = (key: string, bytes: Bytes = PHOTO, expires = 900) =>
		s3.presignPut(
			config,
			key,
			{
				contentType: "image/jpeg",
				bytes: bytes.length,
				sha256: sha256(bytes),
			},
			expires,
		);

	/** PUTs as a client would, which sets the length by itself. @returns the status */
	async function send(
		{ url, headers }: PresignedPut,
		bytes: Bytes = PHOTO,
		changed: Record<string, string | undefined> = {},
	): Promise<number> {
		const all: Record<string, string | undefined> = {
			...headers,
			"Content-Length": undefined,
			...changed,
		};
		const answer = await fetch(url, {
			method: "PUT",
			headers: Object.entries(all).filter(
				(header): header is [string, string] => header[1] !== undefined,
			),
			body: bytes,
		});
		await answer.body?.cancel();
		return answer.status;
	}

	describe("the edge's own calls", () => {
		it("put, get and delete an object", async () => {
			const key = newKey();
			expect(await stored(key)).toBeNull();
			await store(key);
			expect(await stored(key)).toEqual(PHOTO);
			const other = bytesOf("another");
			await store(key, other);
			expect(await stored(key)).toEqual(other);
			await s3.remove(config, key);
			expect(await stored(key)).toBeNull();
			await s3.remove(config, key);
		});

		it("read no further than they want", async () => {
			const key = newKey();
			await store(key);
			expect(await s3.get(config, key, PHOTO.length - 1)).toBe("too_large");
		});

		it("store nothing but the bytes that were hashed", async () => {
			const key = newKey();
			const wrong = { contentType: "image/jpeg", sha256: sha256(PHOTO) };
			const put = s3.put(config, key, { ...wrong, bytes: bytesOf("phato") });
			await expect(put).rejects.toMatchObject({
				failure: { code: "storage_unavailable" },
			});
			expect(await stored(key)).toBeNull();
		});

		it("are refused with another key, and without one", async () => {
			const key = newKey();
			const stranger = { ...config, S3_SECRET_ACCESS_KEY: "another" };
			await expect(s3.get(stranger, key, MB)).rejects.toThrow();
			const { status } = await fetch(`${server.url}/${BUCKET}/${key}`);
			expect([400, 401, 403]).toContain(status);
		});
	});

	describe("a presigned PUT", () => {
		it("takes exactly the announced bytes", async () => {
			const key = newKey();
			expect(await send(await presigned(key))).toBe(200);
			expect(await stored(key)).toEqual(PHOTO);
		});

		it.each([
			["another type", PHOTO, { "Content-Type": "image/png" }],
			["fewer bytes", PHOTO.subarray(1), {}],
			["more bytes", bytesOf("longer photo"), {}],
			[
				"another sha256",
				bytesOf("phato"),
				{ "x-amz-checksum-sha256": sha256(bytesOf("phato"), "base64") },
			],
			["no sha256", PHOTO, { "x-amz-checksum-sha256": undefined }],
		])("is refused with %s", async (_, bytes, changed) => {
			const key = newKey();
			expect(await send(await presigned(key), bytes, changed)).toBe(403);
			expect(await stored(key)).toBeNull();
		});

		it(`${checks ? "is" : "is not"} refused with other bytes under its sha256`, async () => {
			const key = newKey();
			const other = bytesOf("phato");
			expect(await send(await presigned(key), other)).toBe(checks ? 400 : 200);
			expect(await stored(key)).toEqual(checks ? null : other);
		});

		it("is good for its own object and method only", async () => {
			const [one, two] = [newKey(), newKey()];
			await store(two);
			const put = await presigned(one);
			const moved = { ...put, url: put.url.replace(one, two) };
			expect(await send(moved, bytesOf("phato"))).toBe(403);
			expect(await stored(two)).toEqual(PHOTO);
			expect(await send(put)).toBe(200);
			for (const method of ["GET", "DELETE"]) {
				const { status } = await fetch(put.url, { method });
				expect(status).toBe(403);
			}
			expect(await stored(one)).toEqual(PHOTO);
		});

		it("that begins before its URL expires may end after that", async () => {
			const key = newKey();
			// As long as those that go this way; a store reads a short one before it asks for
			// anything.
			const large = new Uint8Array(5 * MB).fill(7);
			const { url, headers } = await presigned(key, large, 1);
			const put = request(url, { method: "PUT", headers });
			await new Promise((sent) => put.write(large.subarray(0, MB), sent));
			const late = () => send({ url, headers }, large);
			await expect.poll(late, { interval: 500 }).toBe(403);
			put.end(large.subarray(MB));
			const [response] = await once(put, "response");
			response.resume();
			expect(response.statusCode).toBe(200);
			expect(await s3.get(config, key, 8 * MB)).toEqual(large);
		});
	});

	describe("a presigned GET", () => {
		it("gives the object, as the GPU worker reads it", async () => {
			const key = newKey();
			await store(key);
			const url = await s3.presignGet(config, key);
			expect(await (await fetch(url)).bytes()).toEqual(PHOTO);
			await s3.remove(config, key);
			expect((await fetch(url)).status).toBe(404);
		});

		it("is good for its own object only, and writes nothing", async () => {
			const [one, two] = [newKey(), newKey()];
			await store(one);
			await store(two);
			const url = await s3.presignGet(config, one);
			expect((await fetch(url.replace(one, two))).status).toBe(403);
			const put = await fetch(url, { method: "PUT", body: "else" });
			expect(put.status).toBe(403);
			expect(await stored(one)).toEqual(PHOTO);
		});
	});

	describe("the CORS rule", () => {
		const preflight = (url: string, origin: string, more = {}) =>
			fetch(url, {
				method: "OPTIONS",
				headers: {
					Origin: origin,
					"Access-Control-Request-Method": "PUT",
					"Access-Control-Request-Headers": CORS_HEADERS,
					...more,
				},
			});
		const allowed = ({ headers }: Response) =>
			headers.get("Access-Control-Allow-Origin");

		it("lets the listed page ask, and PUT", async () => {
			const { url, headers } = await presigned(newKey());
			const asked = await preflight(url, PAGE);
			expect(asked.ok).toBe(true);
			expect(allowed(asked)).toBe(PAGE);
			const names = asked.headers.get("Access-Control-Allow-Headers");
			for (const name of CORS_HEADERS.split(","))
				expect(names?.toLowerCase()).toContain(name);
			const { "Content-Length": _, ...own } = headers;
			const put = await fetch(url, {
				method: "PUT",
				headers: { ...own, Origin: PAGE },
				body: PHOTO,
			});
			expect([put.status, allowed(put)]).toEqual([200, PAGE]);
		});

		it("lets no other page, method or header", async () => {
			const { url } = await presigned(newKey());
			for (const asked of [
				await preflight(url, "https://elsewhere.example"),
				await preflight(url, PAGE, { "Access-Control-Request-Method": "GET" }),
				await preflight(url, PAGE, {
					"Access-Control-Request-Headers": "x-else",
				}),
			]) {
				expect(asked.status).toBe(403);
				expect(allowed(asked)).toBeNull();
			}
		});
	});

	it("has after kill -9 what it said it stored, and its URLs are good", async () => {
		const [one, two, three] = [newKey(), newKey(), newKey()];
		await store(one);
		expect(await send(await presigned(two))).toBe(200);
		const put = await presigned(three);
		const get = await s3.presignGet(config, one);
		await server.daemon.kill();
		await restart();
		expect(await stored(one)).toEqual(PHOTO);
		expect(await stored(two)).toEqual(PHOTO);
		expect(await (await fetch(get)).bytes()).toEqual(PHOTO);
		expect(await send(put)).toBe(200);
		expect(await stored(three)).toEqual(PHOTO);
	});
});
