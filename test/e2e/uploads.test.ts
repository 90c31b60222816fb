/**
 * Uploads on the bucket of `npm start`, and what lies in it afterwards; what its signatures hold is
 * in stores.test.ts.
 */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GetObjectCommand, NoSuchKey, S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BUCKET, REGION } from "../../scripts/bucket.mjs";
import { developmentAccount } from "../../scripts/development.mjs";
import { root } from "../../scripts/paths.mjs";
import { freePort } from "../../scripts/ports.mjs";
import { bundleEdge, type Server, startEdge } from "../../scripts/stack.mjs";
import { inspect } from "../../src/images/inspect.ts";
import { type Deployment, deploy } from "./deployment.ts";

const MB = 1024 * 1024;
let stack: Deployment;
let photo: Buffer;

beforeAll(async () => {
	stack = await deploy();
	photo = await readFile("test/fixtures/images/place.jpg");
});
afterAll(() => stack?.stop());

type Put = { url: string; headers: Record<string, string> };
interface Upload {
	id: string;
	status: string;
	width: number | null;
	put: Put;
}
const sha256 = (bytes: Uint8Array) =>
	createHash("sha256").update(bytes).digest("hex");

const call = (
	method: string,
	path: string,
	init: RequestInit = {},
	key = stack.key,
	url = stack.url,
) =>
	fetch(`${url}/v1/uploads${path}`, {
		...init,
		method,
		headers: { ...init.headers, Authorization: `Bearer ${key}` },
	});

async function announce(
	bytes: Uint8Array,
	part: object = {},
	url = stack.url,
	key = stack.key,
): Promise<Upload> {
	const request = {
		content_type: "image/jpeg",
		bytes: bytes.length,
		sha256: sha256(bytes),
		...part,
	};
	const init = {
		headers: { "Content-Type": "application/json" },
		body: JSON.stringify(request),
	};
	const response = await call("POST", "", init, key, url);
	expect(response.status).toBe(201);
	return (await response.json()) as Upload;
}

/** PUTs as a client would, which sets the length by itself. */
const put = (
	{ put }: Pick<Upload, "put">,
	bytes: Uint8Array,
	changed: Record<string, string> = {},
) => {
	const { "Content-Length": _, ...headers } = { ...put.headers, ...changed };
	return fetch(put.url, {
		method: "PUT",
		headers,
		body: new Uint8Array(bytes),
	});
};
const finalize = async (id: string) => {
	const response = await call("POST", `/${id}/finalize`);
	const body = (await response.json()) as Upload & { code?: string };
	return { status: response.status, body };
};
const sent = async (bytes: Uint8Array, part: object = {}) => {
	const upload = await announce(bytes, part);
	expect((await put(upload, bytes)).status).toBe(200);
	return upload.id;
};

/** The photo with a comment of 64 KB before the picture, over and over. @param most bytes in all */
function padded(most: number): Buffer {
	const comment = Buffer.alloc(65_537, 0x20);
	comment.writeUInt32BE(0xfffeffff, 0);
	const copies = Math.floor((most - photo.length) / comment.length);
	return Buffer.concat([
		photo.subarray(0, 2),
		...Array.from({ length: copies }, () => comment),
		photo.subarray(2),
	]);
}

/** What the bucket holds for an upload, by the operator's own key. */
async function stored(
	kind: "images" | "staging",
	id: string,
	account = stack.key.split("_")[2],
): Promise<Buffer | null> {
	const Key = `${kind}/${account}/${id}`;
	try {
		const object = new GetObjectCommand({ Bucket: BUCKET, Key });
		const { Body } = await operator().send(object);
		return Buffer.from((await Body?.transformToByteArray()) ?? []);
	} catch (error) {
		if (error instanceof NoSuchKey) return null;
		throw error;
	}
}

const operator = () =>
	new S3Client({
		endpoint: stack.s3,
		region: REGION,
		forcePathStyle: true,
		credentials: {
			accessKeyId: stack.secrets.s3AccessKey,
			secretAccessKey: stack.secrets.s3SecretKey,
		},
	});

describe("finalizing", () => {
	it("keeps the image, without its place, and drops what was sent", async () => {
		const id = await sent(photo);
		const { status, body } = await finalize(id);
		expect(status).toBe(200);
		expect(body).toMatchObject({ status: "ready", width: 48, height: 32 });
		const image = (await stored("images", id)) as Buffer;
		expect(image.toString("latin1")).not.toMatch(/PLACE|GPS|xmpmeta/);
		expect((await inspect(new Uint8Array(image), "f", MB)).ok).toBe(true);
		await expect.poll(() => stored("staging", id)).toBeNull();
		expect((await finalize(id)).body).toEqual(body);
	});

	it("cannot be undone by the URL that was used", async () => {
		const upload = await announce(photo);
		await put(upload, photo);
		const { body } = await finalize(upload.id);
		const before = await stored("images", upload.id);
		await expect.poll(() => stored("staging", upload.id)).toBeNull();
		expect((await put(upload, photo)).status).toBe(200);
		expect((await finalize(upload.id)).body).toEqual(body);
		expect(await stored("images", upload.id)).toEqual(before);
	});

	it("refuses what is not what was announced, or no image that we take", async () => {
		const png = await readFile("test/fixtures/images/place.png");
		const sized = (width: number, height: number) => {
			const copy = Buffer.from(png);
			copy.writeUInt32BE(width, 16);
			copy.writeUInt32BE(height, 20);
			return copy;
		};
		const type = { content_type: "image/png" };
		const cases: [Buffer, object, number, string][] = [
			[sized(1, 1), type, 422, "image_dimensions"],
			[sized(20_000, 20_000), type, 422, "image_dimensions"],
			[photo.subarray(0, 900), {}, 422, "image_truncated"],
			[Buffer.from("<html>no image</html>"), {}, 422, "image_type_unsupported"],
		];
		for (const [bytes, part, status, code] of cases) {
			const id = await sent(bytes, part);
			const refused = await finalize(id);
			expect([refused.status, refused.body.code]).toEqual([status, code]);
			expect(await stored("images", id)).toBeNull();
		}
	});

	it("refuses when nothing was sent", async () => {
		const { id } = await announce(photo);
		expect((await finalize(id)).body.code).toBe("upload_incomplete");
	});

	it("refuses other bytes of the announced length, which this bucket took", async () => {
		const other = Buffer.from(photo);
		other[600] = (other[600] as number) ^ 1;
		const wrong = await announce(photo, { sha256: "0".repeat(64) });
		for (const [upload, bytes] of [
			[await announce(photo), other],
			[wrong, photo],
		] as const) {
			expect((await put(upload, bytes)).status).toBe(200);
			const { status, body } = await finalize(upload.id);
			expect([status, body.code]).toEqual([409, "upload_mismatch"]);
			expect(await stored("images", upload.id)).toBeNull();
		}
	});

	it("takes a photo of 20 MB", async () => {
		const large = padded(20 * MB);
		const { status, body } = await finalize(await sent(large));
		expect([status, body.width]).toEqual([200, 48]);
	});
});

describe("an upload of someone else", () => {
	it("is not there, whatever is asked of it", async () => {
		const id = await sent(photo);
		const state = await mkdtemp(join(tmpdir(), "minigpt4-other-"));
		const { adminSecret } = stack.secrets;
		const { key } = await developmentAccount({
			edge: stack.url,
			state,
			adminSecret,
		});
		await rm(state, { recursive: true });
		for (const [method, path] of [
			["GET", `/${id}`],
			["DELETE", `/${id}`],
			["POST", `/${id}/finalize`],
		] as const) {
			const response = await call(method, path, {}, key);
			expect([method, response.status]).toEqual([method, 404]);
		}
		expect((await finalize(id)).status).toBe(200);
	});
});

describe("a deleted upload", () => {
	it("leaves the bucket", async () => {
		const response = await call("POST", "", {
			headers: { "Content-Type": "image/jpeg" },
			body: new Uint8Array(photo),
		});
		const { id } = (await response.json()) as Upload;
		expect(await stored("images", id)).not.toBeNull();
		expect((await call("DELETE", `/${id}`)).status).toBe(204);
		await expect.poll(() => stored("images", id)).toBeNull();
	});
});

/**
 * Sends the first half of the bytes; the rest goes when it is told to.
 * @returns what to tell, which answers the store's status
 */
async function slowly(
	{ url, headers }: Put,
	bytes: Buffer,
): Promise<() => Promise<number | undefined>> {
	const half = bytes.length >> 1;
	const put = request(url, { method: "PUT", headers });
	await new Promise((sent) => put.write(bytes.subarray(0, half), sent));
	return async () => {
		put.end(bytes.subarray(half));
		const [response] = await once(put, "response");
		response.resume();
		return response.statusCode;
	};
}

describe("a PUT that begins before its URL expires and ends after that", () => {
	/** Its accounts' time is the test's. */
	let edge: Server;
	let key: string;
	let state: string;
	let large: Buffer;

	beforeAll(async () => {
		// As long as those that go this way; the store reads a short one before it asks for
		// anything.
		large = padded(5 * MB);
		state = await mkdtemp(join(tmpdir(), "minigpt4-clocked-"));
		const { secrets, s3, worker } = stack;
		edge = await startEdge({
			port: await freePort(),
			state,
			secrets,
			s3,
			worker,
			bundle: await bundleEdge(join(state, "bundle"), {
				entry: join(root, "test/support/clocked-edge.ts"),
			}),
		});
		const { adminSecret } = secrets;
		const made = await developmentAccount({
			edge: edge.url,
			state,
			adminSecret,
		});
		key = made.key;
	});
	afterAll(async () => {
		await edge?.stop();
		await rm(state, { recursive: true, force: true });
	});

	it("leaves nothing: the file is found, however long after the finalization", async () => {
		const account = key.split("_")[2] as string;
		const ahead = async (minutes: number) => {
			const query = `account=${account}&ahead=${minutes * 60_000}`;
			const moved = await fetch(`${edge.url}/test/clock?${query}`, {
				method: "POST",
			});
			expect(moved.status).toBe(204);
		};
		for (const [begins, ends, found] of [
			[0, 16, 21],
			[14, 22, 46],
			[14, 3 * 60, 9 * 60],
			[14, 24 * 60, 25 * 60],
		] as const) {
			await ahead(0);
			const upload = await announce(large, {}, edge.url, key);
			expect((await put(upload, large)).status).toBe(200);
			const path = `/${upload.id}/finalize`;
			expect((await call("POST", path, {}, key, edge.url)).status).toBe(200);
			const staged = () => stored("staging", upload.id, account);
			await expect.poll(staged).toBeNull();
			await ahead(begins);
			const finish = await slowly(upload.put, large);
			await ahead(ends);
			expect(await finish()).toBe(200);
			expect((await staged())?.equals(large)).toBe(true);
			await ahead(found);
			await expect.poll(staged).toBeNull();
			expect(await stored("images", upload.id, account)).not.toBeNull();
		}
	});
});
