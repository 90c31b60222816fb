/** Reads and inspects the images of requests, and stores them under the final keys of uploads. */
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
import { type InspectedImage, inspect } from "../images/inspect.ts";
import { finalKey } from "../images/key.ts";
import * as s3 from "../images/s3.ts";
import { IMAGE_LIMITS } from "../schema/image.ts";
import type { ImageInput } from "./conversation.ts";

/** An image of a request for a job: an upload, or inline bytes that are not stored yet. */
export type ImageRead = {
	/** The request's field, for errors. */
	field: string;
	/** SHA-256 of the bytes as sent, hex. */
	sha256: string;
} & ({ upload: string } | { received: ReceivedImage; url: string | null });

/**
 * Reads a job's images, and stores nothing. An upload is found in `prepared`, a `data:` URL
 * decoded, an `https:` URL fetched. Where the job exists, `prepared` has its images, and none is
 * fetched again.
 * @param prepared the images that the Account returned for this request
 * @throws ApiError naming the image's field
 */
export async function readImages(
	c: Context<App>,
	inputs: readonly ImageInput[],
	prepared: readonly SentImage[],
): Promise<ImageRead[]> {
	const sources = inputs.map(({ source }) => source);
	const urlHashes = await Promise.all(
		sources.map((source) =>
			"url" in source && !isDataUrl(source.url) ? sha256(source.url) : null,
		),
	);
	// A URL that the request names twice was fetched twice: each fetch is taken once.
	const fetched = prepared.filter(({ url }) => url !== null);
	const existing = sources.map((source, n) => {
		if ("upload" in source)
			return prepared.find(({ upload }) => upload === source.upload);
		const index = fetched.findIndex(({ url }) => url === urlHashes[n]);
		return index < 0 ? undefined : fetched.splice(index, 1)[0];
	});
	return Promise.all(
		sources.map(async (source, n): Promise<ImageRead> => {
			const { field } = inputs[n] as ImageInput;
			const image = existing[n];
			if (image) return { field, sha256: image.sha256, upload: image.upload };
			if ("upload" in source)
				throw new ApiError({ code: "upload_not_found", field });
			const received = await readUrl(c, source.url, field);
			const url = urlHashes[n] ?? null;
			return { field, sha256: received.sha256, received, url };
		}),
	);
}

/**
 * Stores the inline images of a job. The Account deletes them later unless it admits the job.
 * @returns all images in order, and those that were stored
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

/**
 * Deletes uploads of a job that was not admitted. Never throws: the Account deletes what is left.
 */
export async function discardUploads(
	caller: Caller,
	ids: readonly string[],
): Promise<void> {
	if (ids.length === 0) return;
	await caller.account
		.discardUploads(caller.credential, [...ids])
		.catch(() => {});
}

/** An image as sent, with the result of its inspection. */
export interface ReceivedImage {
	/** The number of bytes as sent. */
	bytes: number;
	/** SHA-256 of the bytes as sent, hex. */
	sha256: string;
	image: InspectedImage;
}

/** @throws ApiError naming the field, where the bytes are not an image of a supported type */
export async function inspectImage(
	bytes: Uint8Array<ArrayBuffer>,
	field: string,
	limit: number,
): Promise<ReceivedImage> {
	const { image } = unwrap(await inspect(bytes, field, limit));
	return { bytes: bytes.length, sha256: await sha256(bytes), image };
}

/** Stores an image under the final key of an upload. @throws ApiError `storage_unavailable` */
export async function storeImage(
	config: Config,
	account: string,
	id: string,
	{ bytes, contentType, width, height }: InspectedImage,
): Promise<{ id: string } & StoredImage> {
	const stored = { contentType, sha256: await sha256(bytes) };
	await s3.put(config, finalKey(account, id), { bytes, ...stored });
	return { id, ...stored, bytes: bytes.length, width, height };
}

/**
 * Stores an image that came as the body of a call, as a ready upload.
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

/**
 * Stores images as uploads. The Account's rows come first, so that no object in the bucket is left
 * without a row. On failure all are deleted.
 */
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
	// Waits for all of them, so that none is written after it was deleted.
	const results = await Promise.allSettled(
		drafts.map(({ id }, n) =>
			storeImage(
				config(c.env),
				caller.id,
				id,
				(received[n] as ReceivedImage).image,
			),
		),
	);
	const failure = results.find((result) => result.status === "rejected");
	if (!failure)
		return results.flatMap((result) =>
			result.status === "fulfilled" ? [result.value] : [],
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
