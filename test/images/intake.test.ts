import type { Context } from "hono";
import { describe, expect, it } from "vitest";
import type { Caller } from "../../src/caller.ts";
import { ApiError, unwrap } from "../../src/errors.ts";
import { newUploadId } from "../../src/ids.ts";
import { discard, intake } from "../../src/images/intake.ts";
import { finalKey } from "../../src/images/key.ts";
import type { App } from "../../src/router.ts";
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

/** All that intake reads of a request's context. */
const c = { env: bindings } as Context<App>;
const callerOf = ({ id, secretHash, stub }: TestAccount): Caller => ({
	...{ id, secretHash, account: stub },
});
const dataUrl = (bytes: Uint8Array, type = "image/jpeg") =>
	`data:${type};base64,${bytes.toBase64()}`;
const sha256 = async (bytes: Uint8Array<ArrayBuffer>) =>
	new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
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
/** A photo on the web, whose host has this address. */
function publish(store: Bucket, address: string) {
	const dns = "https://cloudflare-dns.com/dns-query?name=photos.example.org";
	const answer = { Status: 0, Answer: [{ type: 1, data: address }] };
	store.pages.set(`${dns}&type=A`, () => Response.json(answer));
	store.pages.set(`${dns}&type=AAAA`, () => Response.json({ Status: 0 }));
	store.pages.set(PHOTO, () => new Response(PNG));
}
const failure = async (attempt: Promise<unknown>) => {
	const error = await attempt.catch((thrown) => thrown);
	if (error instanceof ApiError) return error.failure;
	throw error;
};

describe("a job's images", () => {
	it("come in by upload, data URL and https alike, in order", async () => {
		const [store, account] = [bucket(), await newAccount()];
		publish(store, "93.184.216.34");
		const upload = await uploaded(account);
		const made = await intake(c, callerOf(account), [
			...[{ url: dataUrl(JPEG) }, { upload }, { url: PHOTO }, { upload }],
		]);
		expect(made.fields).toEqual([
			...["images[0].url", "images[1].upload"],
			...["images[2].url", "images[3].upload"],
		]);
		const [jpeg, png] = [await sha256(JPEG), await sha256(PNG)];
		expect(made.sha256s).toEqual([jpeg, jpeg, png, jpeg]);
		expect([made.ids[1], made.ids[3]]).toEqual([upload, upload]);
		expect(made.stored).toEqual([made.ids[0], made.ids[2]]);
		const stored = [upload, ...made.stored].map((id) =>
			finalKey(account.id, id),
		);
		expect(store.keys().sort()).toEqual(stored.sort());
		for (const { bytes } of store.objects.values())
			expect(new TextDecoder("latin1").decode(bytes)).not.toContain("PLACE");
		expect(store.asked.filter((url) => url === PHOTO)).toHaveLength(1);

		await discard(c, callerOf(account), made.stored);
		const left = (await dump(account.stub)).upload as { id: string }[];
		expect(left.map(({ id }) => id)).toEqual([upload]);
	});

	it("are all refused, nothing stored, when one is wrong; it is named", async () => {
		const [store, account] = [bucket(), await newAccount()];
		publish(store, "10.0.0.7");
		const other = await uploaded(await newAccount());
		const before = await dump(account.stub);
		const objects = store.keys();
		const good = { url: dataUrl(JPEG) };
		for (const [bad, code] of [
			[{ url: dataUrl(JPEG.slice(0, 900)) }, "image_truncated"],
			[{ url: dataUrl(JPEG, "image/png") }, "image_type_unsupported"],
			[{ url: "data:image/png,x" }, "url_refused"],
			[{ url: PHOTO }, "url_refused"],
			[{ url: "https://127.0.0.1/x.png" }, "url_refused"],
			[{ upload: newUploadId(1) }, "upload_not_found"],
			[{ upload: other }, "upload_not_found"],
		] as const) {
			const found = await failure(intake(c, callerOf(account), [good, bad]));
			const field = "url" in bad ? "images[1].url" : "images[1].upload";
			expect([bad, found]).toMatchObject([bad, { code, field }]);
		}
		expect(await dump(account.stub)).toEqual(before);
		expect(store.keys()).toEqual(objects);
		expect(store.asked).not.toContain(PHOTO);
	});

	it("of a revoked key are not even fetched", async () => {
		const [store, account] = [bucket(), await newAccount()];
		publish(store, "93.184.216.34");
		const { keyId } = unwrap(
			await account.stub.authenticate(account.secretHash),
		);
		await account.stub.revokeKey(keyId);
		const found = await failure(intake(c, callerOf(account), [{ url: PHOTO }]));
		expect(found.code).toBe("revoked_key");
		expect([store.asked, store.keys()]).toEqual([[], []]);
	});

	it("leave no upload when the store does not answer", async () => {
		const [store, account] = [bucket(), await newAccount()];
		store.broken = 500;
		const two = [{ url: dataUrl(JPEG) }, { url: dataUrl(PNG, "image/png") }];
		const found = await failure(intake(c, callerOf(account), two));
		expect(found).toEqual({ code: "storage_unavailable" });
		expect((await dump(account.stub)).upload).toEqual([]);
	});
});
