/** Images on their way in: read, inspected, and stored under their final keys once it is clear that they are wanted. */
import type { Context } from "hono";
import type {
	InlineImage,
	JobImage,
	SentImage,
	StoredImage,
	UploadDraft,
	UploadView,
} from "../contract/account.ts";
import { sha256 } from "../crypto.ts";
import { fetchGuarded } from "../egress/fetcher.ts";
import { dnsOverHttps } from "../egress/resolver.ts";
import { type Config, config } from "../env.ts";

import { ApiError, unwrap } from "../errors.ts";
import { type Caller, unwrapForCaller } from "../http/authenticate.ts";
import type { App } from "../http/router.ts";
import { newUploadId } from "../ids.ts";
import { isDataUrl, readDataUrl } from "../images/data-url.ts";
import { type Inspected, inspect } from "../images/inspect.ts";
import { finalKey } from "../images/key.ts";
import * as s3 from "../images/s3.ts";
import { IMAGE_LIMITS } from "../schema/image.ts";
import type { ImageInput } from "./conversation.ts";

/** An image of a request for a job: an upload, or bytes that came along and are not stored yet. */
export type ImageRead = {
	/** The request's field, for errors. */
	field: string;
	/** Over the bytes as they were sent, hex. */
	sha256: string;
} & ({ upload: string } | { received: ReceivedImage; url: string | null });

/**
 * A job's images: uploads by what the account knows of them, `data:` URLs decoded, `https:` URLs fetched, unless the
 * account knows from the first time what came of them. Stores nothing.
 * @param known what the account answered for this request
 * @throws ApiError naming the image's field
 */
export async function readImages(
	c: Context<App>,
	asked: readonly ImageInput[],
	known: readonly SentImage[],
): Promise<ImageRead[]> {
	const sources = asked.map(({ source }) => source);
	const urls = await Promise.all(
		sources.map((source) =>
			"url" in source && !isDataUrl(source.url) ? sha256(source.url) : null,
		),
	);
	// A URL that was named twice was fetched twice.
	const fetched = known.filter(({ url }) => url !== null);
	const recognized = sources.map((source, n) => {
		if ("upload" in source)
			return known.find(({ upload }) => upload === source.upload);
		const at = fetched.findIndex(({ url }) => url === urls[n]);
		return at < 0 ? undefined : fetched.splice(at, 1)[0];
	});
	return Promise.all(
		sources.map(async (source, n): Promise<ImageRead> => {
			const { field } = asked[n] as ImageInput;
			const image = recognized[n];
			if (image) return { field, sha256: image.sha256, upload: image.upload };
			if ("upload" in source)
				throw new ApiError({ code: "upload_not_found", field });
			const received = await readUrl(c, source.url, field);
			const url = urls[n] ?? null;
			return { field, sha256: received.sha256, received, url };
		}),
	);
}

/**
 * Stores the images that came along with a job. Unless the job is admitted they are swept.
 * @returns all images in order, and those that are new
 * @throws ApiError `storage_unavailable`
 */
export async function storeInline(
	c: Context<App>,
	caller: Caller,
	images: readonly ImageRead[],
): Promise<{ images: JobImage[]; inline: InlineImage[] }> {
	const received = images.flatMap((image) =>
		"received" in image ? [image] : [],
	);
	const stored = await storeUploads(
		c,
		caller,
		"inline",
		received.map((image) => image.received),
	);
	const inline = stored.map((image, n) => ({
		...image,
		url: received[n]?.url ?? null,
	}));
	const next = inline.values();
	return {
		images: images.map((image) => ({
			field: image.field,
			upload:
				"upload" in image
					? image.upload
					: (next.next().value as InlineImage).id,
			sha256: image.sha256,
		})),
		inline,
	};
}

/** Takes back what was stored and not admitted. Never throws: what is left is swept. */
export async function discardUploads(
	caller: Caller,
	ids: readonly string[],
): Promise<void> {
	if (ids.length === 0) return;
	await caller.account
		.discardUploads(caller.credential, [...ids])
		.catch(() => {});
}

/** An image as it was sent, and what inspection made of it. */
export interface ReceivedImage {
	/** Of the bytes as sent. */
	bytes: number;
	/** Over the bytes as sent, hex. */
	sha256: string;
	image: Inspected;
}

/** @throws ApiError naming the field, where the bytes are no image that we take */
export async function inspectImage(
	bytes: Uint8Array<ArrayBuffer>,
	field: string,
	limit: number,
): Promise<ReceivedImage> {
	const { image } = unwrap(await inspect(bytes, field, limit));
	return { bytes: bytes.length, sha256: await sha256(bytes), image };
}

/** Puts an image under the final key of an upload. @throws ApiError `storage_unavailable` */
export async function storeImage(
	config: Config,
	account: string,
	id: string,
	{ bytes, contentType, width, height }: Inspected,
): Promise<{ id: string } & StoredImage> {
	const stored = { contentType, sha256: await sha256(bytes) };
	await s3.put(config, finalKey(account, id), { bytes, ...stored });
	return { id, ...stored, bytes: bytes.length, width, height };
}

/**
 * An image that came as a call's body, as a ready upload.
 * @throws ApiError `storage_unavailable`
 */
export async function storeBodyAsUpload(
	c: Context<App>,
	caller: Caller,
	received: ReceivedImage,
): Promise<UploadView> {
	const stored = await storeUploads(c, caller, "body", [received]);
	const { account, credential } = caller;
	const done = unwrapForCaller(
		c,
		await account.finalizeUploads(credential, stored),
	);
	return done.uploads[0] as UploadView;
}

/** Rows come first: whatever fails after that is swept, and here discarded at once. */
async function storeUploads(
	c: Context<App>,
	caller: Caller,
	way: UploadDraft["way"],
	received: readonly ReceivedImage[],
): Promise<({ id: string } & StoredImage)[]> {
	if (received.length === 0) return [];
	const drafts = received.map(({ bytes, sha256, image }) => ({
		id: newUploadId(Date.now()),
		contentType: image.contentType,
		bytes,
		sha256,
		way,
	}));
	const { account, credential } = caller;
	unwrapForCaller(c, await account.createUploads(credential, drafts));
	// All of them are waited for: none may write after it was discarded.
	const placed = await Promise.allSettled(
		drafts.map(({ id }, n) =>
			storeImage(
				config(c.env),
				caller.id,
				id,
				(received[n] as ReceivedImage).image,
			),
		),
	);
	const failure = placed.find((each) => each.status === "rejected");
	if (!failure)
		return placed.flatMap((each) =>
			each.status === "fulfilled" ? [each.value] : [],
		);
	await discardUploads(
		caller,
		drafts.map(({ id }) => id),
	);
	throw failure.reason;
}

async function readUrl(
	c: Context<App>,
	url: string,
	field: string,
): Promise<ReceivedImage> {
	const limit = IMAGE_LIMITS.inlineBytes;
	if (isDataUrl(url)) {
		return inspectImage(readDataUrl(url, field), field, limit);
	}
	const { DNS_URL, EGRESS_ALLOW } = config(c.env);
	const bytes = await fetchGuarded(url, limit, field, {
		resolve: dnsOverHttps(DNS_URL),
		allow: EGRESS_ALLOW,
	});
	return inspectImage(bytes, field, limit);
}
