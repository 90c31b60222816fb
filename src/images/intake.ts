/** Images on their way into the bucket: looked at, stripped of metadata, stored, recorded. */
import type { Context } from "hono";
import { hex } from "../account/key.ts";
import type { UploadView } from "../account/uploads.ts";
import type { Caller } from "../caller.ts";
import { type Config, config } from "../env.ts";
import { unwrap } from "../errors.ts";
import { newUploadId } from "../ids.ts";
import type { App } from "../router.ts";
import {
	IMAGE_LIMITS,
	type ImageSource,
	type ImageType,
} from "../schema/image.ts";
import { readDataUrl } from "./data-url.ts";
import { fetchGuarded } from "./fetcher.ts";
import { inspect } from "./inspect.ts";
import { finalKey } from "./key.ts";
import { dnsOverHttps } from "./resolver.ts";
import { put } from "./s3.ts";

/** A whole image that we take, not yet stored. */
export interface Accepted {
	contentType: ImageType;
	/** As sent. */
	bytes: number;
	/** Of the bytes as sent, hex. */
	sha256: string;
	width: number;
	height: number;
	clean: Uint8Array<ArrayBuffer>;
}

/** @throws ApiError naming the field, where the bytes are no image that we take */
export async function accept(
	file: Uint8Array<ArrayBuffer>,
	field: string,
	declared: ImageType | null = null,
	limit: number = IMAGE_LIMITS.inlineBytes,
): Promise<Accepted> {
	const { image: picture } = unwrap(inspect(file, declared, field, limit));
	return {
		contentType: picture.contentType,
		bytes: file.length,
		sha256: await digest(file),
		width: picture.width,
		height: picture.height,
		clean: picture.bytes,
	};
}

export const digest = async (bytes: Uint8Array<ArrayBuffer>): Promise<string> =>
	hex(await crypto.subtle.digest("SHA-256", bytes));

/** Puts the image into the bucket under its final key; what the Account then records. */
export async function place(
	config: Config,
	account: string,
	id: string,
	image: Accepted,
) {
	const sha256 = await digest(image.clean);
	await put(config, finalKey(account, id), {
		bytes: image.clean,
		contentType: image.contentType,
		sha256,
	});
	const { width, height } = image;
	return { id, width, height, bytes: image.clean.length, sha256 };
}

/** Stores images and records them as ready uploads of the caller. */
export async function store(
	c: Context<App>,
	known: Caller,
	images: readonly Accepted[],
): Promise<UploadView[]> {
	const declared = images.map(({ contentType, bytes, sha256 }) => ({
		id: newUploadId(Date.now()),
		contentType,
		bytes,
		sha256,
	}));
	unwrap(await known.account.createUploads(known.secretHash, declared));
	const stored = await Promise.all(
		images.map((image, n) =>
			place(config(c.env), known.id, (declared[n] as { id: string }).id, image),
		),
	);
	return unwrap(await known.account.finalizeUploads(known.secretHash, stored))
		.uploads;
}

export interface Intake {
	/** Upload ids in the prompt's order. */
	ids: string[];
	/** The request's field of each, for errors. */
	fields: string[];
	/** Of each image as it was sent, hex. */
	sha256s: string[];
	/** Those that this call made; `discard` them if the job is refused. */
	stored: string[];
}

/**
 * A job's images as uploads: ids are looked up, URLs fetched once and stored.
 * @throws ApiError naming `images[n].upload` or `images[n].url`
 */
export async function intake(
	c: Context<App>,
	known: Caller,
	sources: readonly ImageSource[],
): Promise<Intake> {
	const fields = sources.map(
		(source, n) => `images[${n}].${"url" in source ? "url" : "upload"}`,
	);
	const uploads = await lookUp(known, sources, fields);
	const accepted = await Promise.all(
		sources.map((source, n) =>
			"url" in source ? load(c, source.url, fields[n] as string) : null,
		),
	);
	const fresh = accepted.filter((image) => image !== null);
	const views = fresh.length > 0 ? await store(c, known, fresh) : [];
	const stored = views.map(({ id }) => id);
	const all = sources.map((source) =>
		"url" in source
			? (views.shift() as UploadView)
			: (uploads.get(source.upload) as UploadView),
	);
	return {
		ids: all.map(({ id }) => id),
		fields,
		sha256s: all.map(({ sha256 }) => sha256),
		stored,
	};
}

/** Deletes what `intake` stored for a job that was then refused. */
export async function discard(
	_c: Context<App>,
	known: Caller,
	stored: string[],
): Promise<void> {
	for (const id of stored)
		await known.account.deleteUpload(known.secretHash, id);
}

/** Also authenticates: nothing is fetched for a key that is revoked. */
async function lookUp(
	known: Caller,
	sources: readonly ImageSource[],
	fields: readonly string[],
): Promise<Map<string, UploadView>> {
	const named = sources.flatMap((source, n) =>
		"upload" in source
			? [{ id: source.upload, field: fields[n] as string }]
			: [],
	);
	const { uploads } = unwrap(
		await known.account.uploads(
			known.secretHash,
			named.map(({ id }) => id),
			named.map(({ field }) => field),
		),
	);
	return new Map(uploads.map((upload) => [upload.id, upload]));
}

async function load(
	c: Context<App>,
	url: string,
	field: string,
): Promise<Accepted> {
	if (/^data:/i.test(url)) {
		const { bytes, contentType } = readDataUrl(url, field);
		return accept(bytes, field, contentType);
	}
	const { DNS_URL, EGRESS_ALLOW } = config(c.env);
	const bytes = await fetchGuarded(url, IMAGE_LIMITS.inlineBytes, field, {
		resolve: dnsOverHttps(DNS_URL),
		allow: EGRESS_ALLOW,
	});
	return accept(bytes, field);
}
