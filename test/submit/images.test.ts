import type { Context } from "hono";
import { describe, expect, it } from "vitest";
import { ApiError, unwrap } from "../../src/errors.ts";
import type { Caller } from "../../src/http/authenticate.ts";
import type { App } from "../../src/http/router.ts";
import { newUploadId } from "../../src/ids.ts";
import { finalKey } from "../../src/images/key.ts";
import type { ImageSource } from "../../src/schema/image.ts";
import { imagesOf } from "../../src/submit/conversation.ts";
import {
	discardUploads,
	type ImageRead,
	readImages,
	storeInline,
} from "../../src/submit/images.ts";
import {
	bindings,
	dump,
	newAccount,
	type TestAccount,
} from "../support/account.ts";
import { type Bucket, bucket } from "../support/bucket.ts";
import { edge } from "../support/edge.ts";
import { fixture } from "../support/images.ts";

const JPEG = fixture("place.jpg").bytes;
const PNG = fixture("place.png").bytes;
const PHOTO = "https://photos.example.org/cat.png";

/** The parts of a request's context that reading images uses. */
const c = { env: bindings, set: () => {} } as unknown as Context<App>;
const callerOf = ({ id, credential, stub }: TestAccount): Caller => ({
	id,
	credential,
	account: stub,
});
const dataUrl = (bytes: Uint8Array, type = "image/jpeg") =>
	`data:${type};base64,${bytes.toBase64()}`;
const sha256 = async (bytes: Uint8Array) =>
	new Uint8Array(
		await crypto.subtle.digest("SHA-256", new Uint8Array(bytes)),
	).toHex();
const uploaded = async (account: TestAccount): Promise<string> => {
	const response = await edge.fetch("https://edge.test/v1/uploads", {
		method: "POST",
		headers: {
			Authorization: `Bearer ${account.key}`,
			"Content-Type": "image/jpeg",
		},
		body: JPEG,
	});
	return (await response.json<{ id: string }>()).id;
};
/** Publishes a photo on a host with this address. */
function publish(store: Bucket, address: string) {
	const dns = "https://cloudflare-dns.com/dns-query?name=photos.example.org";
	const answer = { Status: 0, Answer: [{ type: 1, data: address }] };
	store.pages.set(`${dns}&type=A`, () => Response.json(answer));
	store.pages.set(`${dns}&type=AAAA`, () => Response.json({ Status: 0 }));
	store.pages.set(PHOTO, () => new Response(PNG));
}
/** Prepares the request in the Account, then reads its images, as `createJob` does. */
const readFor = async (
	account: TestAccount,
	sources: ImageSource[],
): Promise<ImageRead[]> => {
	const prepared = unwrap(
		await account.stub.prepare({
			credential: account.credential,
			jobId: null,
			idempotencyKey: null,
			repeats: null,
			price: { maxPrice: 0, leastPrice: 0, mostTokens: 0 },
			quote: null,
			uploads: sources.flatMap((each, n) =>
				"upload" in each
					? [{ upload: each.upload, field: `images[${n}].upload` }]
					: [],
			),
			previous: null,
			hasWebhook: false,
		}),
	);
	return readImages(c, imagesOf(sources), prepared.images);
};
const failure = async (attempt: Promise<unknown>) => {
	const error = await attempt.catch((thrown) => thrown);
	if (error instanceof ApiError) return error.failure;
	throw error;
};

describe("a job's images", () => {
	it("come from uploads, data URLs and https URLs, in order", async () => {
		const [store, account] = [bucket(), await newAccount()];
		publish(store, "93.184.216.34");
		const upload = await uploaded(account);
		const read = await readFor(account, [
			{ url: dataUrl(JPEG) },
			{ upload },
			{ url: PHOTO },
			{ upload },
		]);
		expect(read.map(({ field }) => field)).toEqual([
			"images[0].url",
			"images[1].upload",
			"images[2].url",
			"images[3].upload",
		]);
		const [jpeg, png] = [await sha256(JPEG), await sha256(PNG)];
		expect(read.map((each) => each.sha256)).toEqual([jpeg, jpeg, png, jpeg]);
		expect(store.keys()).toEqual([finalKey(account.id, upload)]);

		const { images, inline } = await storeInline(c, callerOf(account), read);
		const ids = images.map((image) => image.upload);
		expect(images.map((image) => image.sha256)).toEqual(
			read.map((image) => image.sha256),
		);
		expect([ids[1], ids[3]]).toEqual([upload, upload]);
		expect(inline.map(({ id }) => id)).toEqual([ids[0], ids[2]]);
		const url = await sha256(new TextEncoder().encode(PHOTO));
		expect(inline.map((image) => image.url)).toEqual([null, url]);
		const stored = [upload, ids[0], ids[2]].map((id) =>
			finalKey(account.id, id as string),
		);
		expect(store.keys().sort()).toEqual(stored.sort());
		for (const { bytes } of store.objects.values())
			expect(new TextDecoder("latin1").decode(bytes)).not.toContain("PLACE");
		expect(store.asked.filter((asked) => asked === PHOTO)).toHaveLength(1);

		await discardUploads(
			callerOf(account),
			inline.map(({ id }) => id),
		);
		const left = (await dump(account.stub)).upload as { id: string }[];
		expect(left.map(({ id }) => id)).toEqual([upload]);
	});

	it("have the type of their bytes, whatever their URLs say", async () => {
		const [store, account] = [bucket(), await newAccount()];
		publish(store, "93.184.216.34");
		const coded = [...PNG].map((n) => `%${n.toString(16).padStart(2, "0")}`);
		const url = PNG.toBase64({ alphabet: "base64url", omitPadding: true });
		const read = await readFor(account, [
			{ url: dataUrl(JPEG, "image/png;name=cat.png") },
			{ url: `DATA:text/plain;charset=utf-8;base64,${url}` },
			{ url: `data:,${coded.join("")}` },
			{ url: PHOTO.replace("https", "HTTPS") },
		]);
		const types = read.map((each) =>
			"received" in each ? each.received.image.contentType : null,
		);
		const png = "image/png";
		expect(types).toEqual(["image/jpeg", png, png, png]);
	});

	it("of a repeated request are those of the first one, and no URL is fetched again", async () => {
		const [store, account] = [bucket(), await newAccount()];
		const existing = [
			{
				upload: newUploadId(1),
				sha256: "a".repeat(64),
				url: await sha256(new TextEncoder().encode(PHOTO)),
			},
			{ upload: newUploadId(2), sha256: "b".repeat(64), url: null },
		];
		const sources = [
			{ upload: (existing[1] as { upload: string }).upload },
			{ url: PHOTO },
		];
		const read = await readImages(c, imagesOf(sources), existing);
		expect(read.map((each) => each.sha256)).toEqual([
			"b".repeat(64),
			"a".repeat(64),
		]);
		expect(store.asked).toEqual([]);
		expect(await storeInline(c, callerOf(account), read)).toEqual({
			images: [existing[1], existing[0]].map((image, n) => ({
				field: read[n]?.field,
				upload: image?.upload,
				sha256: image?.sha256,
			})),
			inline: [],
		});
	});

	it("are all refused, and none stored, when one is wrong, whose field is named", async () => {
		const [store, account] = [bucket(), await newAccount()];
		publish(store, "10.0.0.7");
		const other = await uploaded(await newAccount());
		const before = await dump(account.stub);
		const objects = store.keys();
		const good = { url: dataUrl(JPEG) };
		for (const [bad, code] of [
			[{ url: dataUrl(JPEG.slice(0, 900)) }, "image_truncated"],
			[{ url: "data:image/png,x" }, "image_type_unsupported"],
			[{ url: "data:image/png;base64,x" }, "url_refused"],
			[{ url: PHOTO }, "url_refused"],
			[{ url: "https://127.0.0.1/x.png" }, "url_refused"],
			[{ upload: newUploadId(1) }, "upload_not_found"],
			[{ upload: other }, "upload_not_found"],
		] as const) {
			const found = await failure(readFor(account, [good, bad]));
			const field = "url" in bad ? "images[1].url" : "images[1].upload";
			expect([bad, found]).toMatchObject([bad, { code, field }]);
		}
		expect(await dump(account.stub)).toEqual(before);
		expect(store.keys()).toEqual(objects);
		expect(store.asked).not.toContain(PHOTO);
	});

	it("of a revoked key are not fetched", async () => {
		const [store, account] = [bucket(), await newAccount()];
		publish(store, "93.184.216.34");
		const { keyId } = unwrap(
			await account.stub.authenticate(account.credential),
		);
		await account.stub.revokeKey(keyId);
		const found = await failure(readFor(account, [{ url: PHOTO }]));
		expect(found.code).toBe("revoked_key");
		expect([store.asked, store.keys()]).toEqual([[], []]);
	});

	it("leave no upload when the store does not answer", async () => {
		const [store, account] = [bucket(), await newAccount()];
		store.broken = 500;
		const two = [{ url: dataUrl(JPEG) }, { url: dataUrl(PNG, "image/png") }];
		const read = await readFor(account, two);
		const found = await failure(storeInline(c, callerOf(account), read));
		expect(found).toEqual({ code: "storage_unavailable" });
		expect((await dump(account.stub)).upload).toEqual([]);
	});
});
