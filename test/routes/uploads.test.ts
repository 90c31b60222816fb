import { runDurableObjectAlarm } from "cloudflare:test";
import { describe, expect, it, vi } from "vitest";
import type { DueTask } from "../../src/account/due.ts";
import { SKEW_MS } from "../../src/account/staging-sweeps.ts";
import { unwrap } from "../../src/errors.ts";
import { newUploadId } from "../../src/ids.ts";
import { finalKey, PUT_VALID_MS, stagingKey } from "../../src/images/key.ts";
import { IMAGE_LIMITS } from "../../src/schema/image.ts";
import type { Upload } from "../../src/schema/upload.ts";
import {
	admissionOf,
	dump,
	moveClock,
	newAccount,
	type TestAccount,
	uploadsOf,
} from "../support/account.ts";
import { type Bucket, bucket } from "../support/bucket.ts";
import { edge } from "../support/edge.ts";
import { fixture, resized } from "../support/images.ts";

const JPEG = fixture("place.jpg").bytes;
const HOUR = 60 * 60_000;
type Bytes = Uint8Array<ArrayBuffer>;

const call = (
	account: TestAccount | string | null,
	method: string,
	path: string,
	init: { type?: string; body?: BodyInit } = {},
) => {
	const headers = new Headers();
	const key = typeof account === "object" ? account?.key : account;
	if (key) headers.set("Authorization", `Bearer ${key}`);
	if (init.type) headers.set("Content-Type", init.type);
	return edge.fetch(`https://edge.test/v1/uploads${path}`, {
		method,
		headers,
		body: init.body ?? null,
	});
};
const send = (
	account: TestAccount | string | null,
	body: BodyInit,
	type = "image/jpeg",
) => call(account, "POST", "", { type, body });
const upload = async (
	account: TestAccount,
	body: Bytes = JPEG,
): Promise<Upload> => {
	const response = await send(account, body);
	expect(response.status).toBe(201);
	return response.json();
};
const sha256 = async (bytes: Bytes) =>
	new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
const announce = async (
	account: TestAccount,
	bytes: Bytes,
	part: object = {},
) => {
	const request = {
		content_type: "image/jpeg",
		bytes: bytes.length,
		sha256: await sha256(bytes),
		...part,
	};
	return call(account, "POST", "", {
		type: "application/json",
		body: JSON.stringify(request),
	});
};
/** A pending upload whose bytes lie where its URL would have put them. */
const putFor = async (
	account: TestAccount,
	store: Bucket,
	bytes: Bytes,
	part: object = {},
) => {
	const response = await announce(account, bytes, part);
	expect(response.status).toBe(201);
	const { id } = await response.json<Upload>();
	const key = stagingKey(finalKey(account.id, id));
	store.objects.set(key, { bytes, contentType: "image/jpeg" });
	return id;
};
const finalize = (account: TestAccount, id: string) =>
	call(account, "POST", `/${id}/finalize`);
const problem = async (response: Response) => {
	const { code, field, detail } = await response.json<{
		code: string;
		field?: string;
		detail: string;
	}>();
	expect(response.headers.get("Content-Type")).toBe("application/problem+json");
	expect(detail.length).toBeGreaterThan(10);
	return { status: response.status, code, ...(field && { field }) };
};
const at = async (account: TestAccount, ms: number) => {
	await moveClock(account.stub, ms);
	await runDurableObjectAlarm(account.stub);
};

describe("an image sent in one call", () => {
	it("is ready at once, and is stored without its place", async () => {
		const [store, account] = [bucket(), await newAccount()];
		const made = await upload(account);
		expect(made).toEqual({
			id: expect.stringMatching(/^img_/),
			object: "upload",
			status: "ready",
			content_type: "image/jpeg",
			bytes: JPEG.length,
			sha256: await sha256(JPEG),
			width: 48,
			height: 32,
			created_at: expect.any(String),
		});
		expect(store.keys()).toEqual([finalKey(account.id, made.id)]);
		const [{ bytes, contentType }] = [...store.objects.values()] as [
			{ bytes: Bytes; contentType: string },
		];
		expect(contentType).toBe("image/jpeg");
		expect(new TextDecoder("latin1").decode(bytes)).not.toContain("PLACE");
		const shown = await call(account, "GET", `/${made.id}`);
		expect(await shown.json()).toEqual(made);
	});

	it.each([
		"",
		"image/jpg",
		"image/pjpeg",
		"IMAGE/JPEG",
		"image/png",
		"image/bmp",
		"application/octet-stream",
		"image/jpeg; charset=binary",
		// What curl says of any body.
		"application/x-www-form-urlencoded",
		"image/*",
		"*/*",
		"text/plain",
		"video/mp4",
		"application/jpg",
		"image",
		'"image/jpeg"',
		"image/jpeg, image/png",
		"text/html",
		"application/xml",
		"jpeg",
		";",
		"image/jpeg;charset",
	])("and called %j is kept as what its bytes are", async (type) => {
		const [store, account] = [bucket(), await newAccount()];
		for (const name of ["place.jpg", "place.png", "place.webp", "place.gif"]) {
			const { bytes, type: true_ } = fixture(name);
			const response = await send(account, bytes, type);
			const made = await response.json<Upload>();
			expect([response.status, made.content_type]).toEqual([201, true_]);
			const stored = store.objects.get(finalKey(account.id, made.id));
			expect(stored?.contentType).toBe(true_);
		}
	});

	it("is refused in words where it is no image that we take, and leaves nothing", async () => {
		const [store, account] = [bucket(), await newAccount()];
		const before = await dump(account.stub);
		const png = fixture("place.png");
		const cases: [BodyInit, string, number, string][] = [
			["not an image", "image/jpeg", 422, "image_type_unsupported"],
			[
				new TextEncoder().encode("not an image"),
				"",
				422,
				"image_type_unsupported",
			],
			["<svg/>", "image/svg+xml", 422, "image_type_unsupported"],
			["x", "image/*", 422, "image_type_unsupported"],
			["x", "*/*", 422, "image_type_unsupported"],
			["x", "jpeg", 422, "image_type_unsupported"],
			[JPEG.slice(0, 900), "image/jpeg", 422, "image_truncated"],
			[resized(png, 1, 1), "image/png", 422, "image_dimensions"],
			[resized(png, 20_000, 20_000), "image/png", 422, "image_dimensions"],
		];
		for (const [body, type, status, code] of cases)
			expect(await problem(await send(account, body, type))).toEqual({
				status,
				code,
				field: "body",
			});
		const empty = await send(account, new Uint8Array());
		expect(await problem(empty)).toEqual({
			status: 400,
			code: "body_required",
		});
		const large = new Uint8Array(IMAGE_LIMITS.inlineBytes + 1);
		large.set(JPEG);
		expect(await problem(await send(account, large))).toEqual({
			status: 413,
			code: "body_too_large",
		});
		for (const type of [
			"text/plain",
			"text/html",
			"video/mp4",
			"application/xml",
			"application/x-www-form-urlencoded",
			"multipart/form-data; boundary=x",
		])
			expect(await problem(await send(account, "x", type))).toEqual({
				status: 415,
				code: "unsupported_media_type",
			});
		expect(await dump(account.stub)).toEqual(before);
		expect(store.keys()).toEqual([]);
	});

	it("that the store does not take leaves no upload", async () => {
		const [store, account] = [bucket(), await newAccount()];
		store.broken = 500;
		expect(await problem(await send(account, JPEG))).toEqual({
			status: 503,
			code: "storage_unavailable",
		});
		expect((await dump(account.stub)).upload).toEqual([]);
	});
});

describe("a call", () => {
	it("without a key of ours is refused before its body is read", async () => {
		bucket();
		const { key } = await newAccount();
		const forged = `${key.slice(0, -1)}${key.endsWith("0") ? "1" : "0"}`;
		const id = newUploadId(Date.now());
		for (const [bad, code] of [
			[null, "missing_key"],
			[forged, "invalid_key"],
		] as const)
			for (const response of [
				await send(bad, JPEG),
				await send(bad, "{}", "application/json"),
				await call(bad, "GET", `/${id}`),
				await call(bad, "DELETE", `/${id}`),
				await call(bad, "POST", `/${id}/finalize`),
			])
				expect(await problem(response)).toEqual({ status: 401, code });
	});

	it("with a revoked key stores nothing", async () => {
		const [store, account] = [bucket(), await newAccount()];
		const { keyId } = unwrap(
			await account.stub.authenticate(account.credential),
		);
		await account.stub.revokeKey(keyId);
		for (const response of [
			await send(account, JPEG),
			await announce(account, JPEG),
		])
			expect(await problem(response)).toEqual({
				status: 401,
				code: "revoked_key",
			});
		expect(store.keys()).toEqual([]);
	});

	it("about someone else's upload, a deleted one or nonsense finds nothing", async () => {
		const store = bucket();
		const [owner, other] = [await newAccount(), await newAccount()];
		const { id } = await upload(owner);
		const gone = (await upload(other)).id;
		expect((await call(other, "DELETE", `/${gone}`)).status).toBe(204);
		for (const unknown of [id, gone, newUploadId(1), "img_x", "..%2f", "%00"])
			for (const response of [
				await call(other, "GET", `/${unknown}`),
				await call(other, "DELETE", `/${unknown}`),
				await call(other, "POST", `/${unknown}/finalize`),
			])
				expect(await problem(response)).toEqual({
					status: 404,
					code: "upload_not_found",
				});
		expect(store.keys()).toContain(finalKey(owner.id, id));
	});
});

describe("an announced upload", () => {
	it("waits with a URL whose signature covers type, length and hash", async () => {
		bucket();
		const account = await newAccount();
		const made = await (await announce(account, JPEG)).json<Upload>();
		expect(made).toMatchObject({
			status: "pending",
			width: null,
			height: null,
		});
		const url = new URL(made.put?.url ?? "");
		expect(url.pathname).toBe(`/minigpt4/staging/${account.id}/${made.id}`);
		expect(url.searchParams.get("X-Amz-Expires")).toBe("900");
		expect(url.searchParams.get("X-Amz-SignedHeaders")).toBe(
			"content-length;content-type;host;x-amz-checksum-sha256",
		);
		expect(Date.parse(made.put?.expires_at ?? "")).toBe(
			Date.parse(made.created_at) + PUT_VALID_MS,
		);
		expect((await finalize(account, made.id)).status).toBe(409);
	});

	it.each([
		"text/plain",
		"",
		"image/",
		"image/*",
		"*/*",
		'"image/jpeg"',
		"jpeg",
		"image/jpeg, image/png",
		"image/png\r\nX: y",
		"image/é",
		null,
		`image/${"x".repeat(200)}`,
	])(
		"called %j is bytes until they are looked at, and ready as what they are",
		async (type) => {
			const [store, account] = [bucket(), await newAccount()];
			const named = { content_type: type };
			const made = await (await announce(account, JPEG, named)).json<Upload>();
			const unknown = "application/octet-stream";
			expect(made.content_type).toBe(unknown);
			expect(made.put?.headers["Content-Type"]).toBe(unknown);
			const id = await putFor(account, store, JPEG, named);
			expect(await (await finalize(account, id)).json()).toMatchObject({
				status: "ready",
				content_type: "image/jpeg",
			});
		},
	);

	it("is refused where the request is wrong, naming the member", async () => {
		bucket();
		const account = await newAccount();
		for (const [part, field] of [
			[{ content_type: 5 }, "content_type"],
			[{ bytes: 0 }, "bytes"],
			[{ bytes: IMAGE_LIMITS.bytes + 1 }, "bytes"],
			[{ bytes: "9" }, "bytes"],
			[{ sha256: "A".repeat(64) }, "sha256"],
			[{ width: 9 }, "width"],
		] as const)
			expect(await problem(await announce(account, JPEG, part))).toEqual({
				status: 400,
				code: "invalid_request",
				field,
			});
		const broken = await send(account, "{", "application/json");
		expect(await problem(broken)).toEqual({
			status: 400,
			code: "invalid_json",
		});
	});

	it("is finalized once, and answers the same ever after", async () => {
		const [store, account] = [bucket(), await newAccount()];
		const id = await putFor(account, store, JPEG);
		const answers = await Promise.all([
			finalize(account, id),
			finalize(account, id),
			finalize(account, id),
		]);
		const first = await answers[0]?.json<Upload>();
		expect(first).toMatchObject({ status: "ready", width: 48, height: 32 });
		for (const again of [...answers.slice(1), await finalize(account, id)]) {
			expect(again.status).toBe(200);
			expect(await again.json()).toEqual(first);
		}
		await at(account, 1_000);
		expect(store.keys()).toEqual([finalKey(account.id, id)]);
		// A used URL works until it expires; what it leaves behind goes after that.
		store.objects.set(stagingKey(finalKey(account.id, id)), {
			bytes: Uint8Array.of(6),
			contentType: null,
		});
		expect(await (await finalize(account, id)).json()).toEqual(first);
		await at(account, PUT_VALID_MS + SKEW_MS + 1_000);
		expect(store.keys()).toEqual([finalKey(account.id, id)]);
	});

	it("leaves nothing of a repeated PUT that took hours, and looks for a day", async () => {
		const [store, account] = [bucket(), await newAccount()];
		const id = await putFor(account, store, JPEG);
		await finalize(account, id);
		const staged = stagingKey(finalKey(account.id, id));
		for (const hours of [0, 0.33, 0.75, 2.25, 8.25, 24.33]) {
			store.objects.set(staged, { bytes: JPEG, contentType: null });
			const next = (await dump(account.stub)).due as DueTask[];
			const { at: due } = next.find(({ key }) =>
				key.includes(staged),
			) as DueTask;
			expect(due).toBeGreaterThanOrEqual(Date.now() + hours * HOUR - 60_000);
			await at(account, due - Date.now() + 1);
			expect(store.keys()).toEqual([finalKey(account.id, id)]);
		}
		expect((await dump(account.stub)).due).toMatchObject([
			{ key: `upload:${id}` },
		]);
		// What took longer than anything may goes with the upload.
		store.objects.set(staged, { bytes: JPEG, contentType: null });
		await at(account, 30 * 24 * HOUR + 1_000);
		await at(account, 30 * 24 * HOUR + 2_000);
		expect(store.keys()).toEqual([]);
		expect((await dump(account.stub)).due).toEqual([]);
	});

	it.each(["image/png", "image/jpg", "application/octet-stream", undefined])(
		"called %j is put as that, and kept as what its bytes are",
		async (content_type) => {
			const [store, account] = [bucket(), await newAccount()];
			const part = { content_type };
			const made = await (await announce(account, JPEG, part)).json<Upload>();
			const called = content_type ?? "application/octet-stream";
			expect(made.content_type).toBe(called);
			expect(made.put?.headers["Content-Type"]).toBe(called);
			const key = stagingKey(finalKey(account.id, made.id));
			store.objects.set(key, { bytes: JPEG, contentType: called });
			const done = await (await finalize(account, made.id)).json<Upload>();
			expect(done).toMatchObject({
				status: "ready",
				content_type: "image/jpeg",
			});
			expect(await (await call(account, "GET", `/${made.id}`)).json()).toEqual(
				done,
			);
			const stored = store.objects.get(finalKey(account.id, made.id));
			expect(stored?.contentType).toBe("image/jpeg");
		},
	);

	it("is not finalized with other bytes than announced, or with no image", async () => {
		const [store, account] = [bucket(), await newAccount()];
		const png = fixture("place.png");
		const other = JPEG.slice();
		other[500] = (other[500] as number) ^ 1;
		const cases: [Bytes, object, number, string][] = [
			[JPEG, { bytes: JPEG.length - 1 }, 409, "upload_mismatch"],
			[JPEG, { bytes: JPEG.length + 1 }, 409, "upload_mismatch"],
			[JPEG, { sha256: await sha256(other) }, 409, "upload_mismatch"],
			[JPEG.slice(0, 900), {}, 422, "image_truncated"],
			[
				resized(png, 1, 1),
				{ content_type: "image/png" },
				422,
				"image_dimensions",
			],
			[
				resized(png, 20_000, 20_000),
				{ content_type: "image/png" },
				422,
				"image_dimensions",
			],
			[
				new TextEncoder().encode("hello") as Bytes,
				{},
				422,
				"image_type_unsupported",
			],
		];
		for (const [bytes, part, status, code] of cases) {
			const id = await putFor(account, store, bytes, part);
			expect(await problem(await finalize(account, id))).toMatchObject({
				status,
				code,
			});
			const shown = await (await call(account, "GET", `/${id}`)).json<Upload>();
			expect(shown.status).toBe("pending");
		}
		expect(store.keys("images/")).toEqual([]);
	});

	it("that is never finalized is swept after an hour, object and all", async () => {
		const [store, account] = [bucket(), await newAccount()];
		const id = await putFor(account, store, JPEG);
		await at(account, HOUR - 60_000);
		expect((await call(account, "GET", `/${id}`)).status).toBe(200);
		await at(account, HOUR + 1_000);
		expect((await call(account, "GET", `/${id}`)).status).toBe(404);
		await at(account, HOUR + 2_000);
		expect(store.keys()).toEqual([]);
		await at(account, 25 * HOUR);
		const { due, upload } = await dump(account.stub);
		expect({ due, upload }).toEqual({ due: [], upload: [] });
	});

	it("deleted while its finalization is on its way leaves no object", async () => {
		const [store, account] = [bucket(), await newAccount()];
		const id = await putFor(account, store, JPEG);
		await call(account, "DELETE", `/${id}`);
		// What a finalization that read the row before would write.
		const key = finalKey(account.id, id);
		store.objects.set(key, { bytes: JPEG, contentType: null });
		await at(account, 10 * 60_000);
		expect(store.keys()).toEqual([]);
	});
});

describe("a deleted image", () => {
	it("goes from the bucket, and the store's failure only delays it", async () => {
		const [store, account] = [bucket(), await newAccount()];
		const { id } = await upload(account);
		store.broken = 503;
		expect((await call(account, "DELETE", `/${id}`)).status).toBe(204);
		await at(account, 1_000);
		store.broken = null;
		expect(store.keys()).toEqual([finalKey(account.id, id)]);
		await at(account, 60_000);
		expect(store.keys()).toEqual([]);
	});

	it("that jobs hold lives until the last of them ends", async () => {
		const [store, account] = [bucket(), await newAccount(10_000)];
		const { id } = await upload(account);
		const images = { images: uploadsOf(id) };
		const [one, two] = [
			admissionOf(account, images),
			admissionOf(account, images),
		];
		for (const job of [one, two]) unwrap(await account.stub.admit(job));
		expect((await call(account, "DELETE", `/${id}`)).status).toBe(204);
		expect((await call(account, "GET", `/${id}`)).status).toBe(404);
		expect(
			await account.stub.admit(admissionOf(account, images)),
		).toMatchObject({
			ok: false,
			failure: { code: "image_in_use", field: "images[0].upload" },
		});
		const end = (jobId: string) =>
			account.stub.settle({
				jobId,
				status: "succeeded",
				price: 1_000,
				parts: [],
			});
		await end(one.jobId);
		await at(account, 1_000);
		expect(store.keys()).toEqual([finalKey(account.id, id)]);
		await end(two.jobId);
		await at(account, 2_000);
		expect(store.keys()).toEqual([]);
		expect((await dump(account.stub)).upload).toEqual([]);
	});
});

describe("the list of uploads", () => {
	const page = async (account: TestAccount, query = "") => {
		const response = await call(account, "GET", query);
		expect(response.status).toBe(200);
		const list = await response.json<{
			data: Upload[];
			next_cursor: string | null;
		}>();
		return { ids: list.data.map(({ id }) => id), ...list };
	};

	it("has each once, newest first, over all pages, while others come and go", async () => {
		bucket();
		const account = await newAccount();
		const made: Upload[] = [];
		// Ids of one millisecond are in any order.
		while (made.length < 7) {
			made.unshift(await upload(account));
			const { created_at } = made[0] as Upload;
			await vi.waitUntil(() => Date.now() > Date.parse(created_at));
		}
		const all = made.map(({ id }) => id);
		expect((await page(account)).data).toEqual(made);
		const first = await page(account, "?limit=3");
		expect(first.ids).toEqual(all.slice(0, 3));
		// The one that the cursor came from is deleted, and a new one is made.
		await call(account, "DELETE", `/${all[2]}`);
		await upload(account);
		const second = await page(account, `?limit=3&cursor=${first.next_cursor}`);
		expect(second.ids).toEqual(all.slice(3, 6));
		const third = await page(account, `?limit=3&cursor=${second.next_cursor}`);
		expect([third.ids, third.next_cursor]).toEqual([all.slice(6), null]);
		const whole = await page(account, `?limit=4&cursor=${all[2]}`);
		expect(whole.next_cursor).toBeNull();
	});

	it("has what waits for its bytes, nothing deleted, sent with a job or of others", async () => {
		bucket();
		const [account, other] = [await newAccount(10_000), await newAccount()];
		await upload(other);
		const [held, deleted] = [await upload(account), await upload(account)];
		const images = { images: uploadsOf(held.id) };
		unwrap(await account.stub.admit(admissionOf(account, images)));
		for (const { id } of [held, deleted])
			await call(account, "DELETE", `/${id}`);
		const id = newUploadId(Date.now());
		const draft = { id, contentType: "image/png", bytes: 9 } as const;
		unwrap(
			await account.stub.createUploads(account.credential, [
				{ ...draft, sha256: "c".repeat(64), way: "inline" },
			]),
		);
		expect((await page(account)).data).toEqual([]);
		const pending = await (await announce(account, JPEG)).json<Upload>();
		const { put, ...shown } = pending;
		expect((await page(account)).data).toEqual([shown]);
	});

	it("is not begun at a cursor that is none of ours, nor in pages of any size", async () => {
		bucket();
		const account = await newAccount();
		for (const [query, field] of [
			["?cursor=x", "cursor"],
			["?cursor=", "cursor"],
			["?limit=0", "limit"],
			["?limit=101", "limit"],
			["?limit=many", "limit"],
			["?page=2", "page"],
		] as const)
			expect(await problem(await call(account, "GET", query))).toEqual({
				status: 400,
				code: "invalid_request",
				field,
			});
		expect(await problem(await call(null, "GET", ""))).toEqual({
			status: 401,
			code: "missing_key",
		});
	});
});

describe("the OpenAPI document", () => {
	it("tells of both ways to upload, and of every route", async () => {
		const response = await edge.fetch("https://edge.test/openapi.json");
		// biome-ignore lint/suspicious/noExplicitAny: a document
		const { paths } = await response.json<any>();
		const { requestBody, responses } = paths["/v1/uploads"].post;
		expect(Object.keys(requestBody.content)).toEqual([
			"application/json",
			"image/jpeg",
			"image/png",
			"image/webp",
			"image/gif",
			"application/octet-stream",
		]);
		expect(Object.keys(responses)).toContain("413");
		expect(Object.keys(paths["/v1/uploads/{id}"])).toEqual(["get", "delete"]);
		expect(Object.keys(paths["/v1/uploads/{id}/finalize"])).toEqual(["post"]);
	});
});
