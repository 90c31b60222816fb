/** Images on their way in: inspected, stored under their final keys, recorded as ready uploads. */
import type { Context } from "hono";
import { hex } from "../account/key.ts";
import type { StoredImage, UploadView } from "../account/uploads.ts";
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
import { type Inspected, inspect } from "./inspect.ts";
import { finalKey } from "./key.ts";
import { dnsOverHttps } from "./resolver.ts";
import * as s3 from "./s3.ts";

export interface Intake {
	/** Upload ids, in the prompt's order. */
	ids: string[];
	/** The request's field of each, for errors. */
	fields: string[];
	/** Over the bytes of each as they were sent, hex. */
	sha256s: string[];
	/** The uploads that this call made: to `discard` where the job is refused. */
	stored: string[];
}

/**
 * A job's images as ready uploads: ids are looked up, `data:` and `https:` URLs read once and stored. The key is checked
 * before anything is fetched, and nothing is stored unless all of them are good.
 * @throws ApiError naming `images[n].upload` or `images[n].url`
 */
export async function intake(
	c: Context<App>,
	caller: Caller,
	sources: readonly ImageSource[],
): Promise<Intake> {
	const fields = sources.map((source, n) =>
		"url" in source ? `images[${n}].url` : `images[${n}].upload`,
	);
	const known = await lookUp(caller, sources, fields);
	const read = await Promise.all(
		sources.map((source, n) =>
			"url" in source ? readUrl(c, source.url, fields[n] as string) : null,
		),
	);
	const fresh = await store(
		c,
		caller,
		read.filter((image) => image !== null),
	);
	const stored = fresh.map(({ id }) => id);
	const from = { upload: known.values(), url: fresh.values() };
	const uploads = sources.map(
		(source) =>
			("url" in source ? from.url : from.upload).next().value as UploadView,
	);
	return {
		ids: uploads.map(({ id }) => id),
		fields,
		sha256s: uploads.map(({ sha256 }) => sha256),
		stored,
	};
}

/** Deletes what `intake` stored for a job that was then refused. Never throws: a leftover is an upload its owner can see. */
export async function discard(
	_c: Context<App>,
	caller: Caller,
	stored: readonly string[],
): Promise<void> {
	await Promise.allSettled(
		stored.map((id) => caller.account.deleteUpload(caller.secretHash, id)),
	);
}

/** An image as it was sent, and what inspection made of it. */
export interface Received {
	/** Of the bytes as sent. */
	bytes: number;
	/** Over the bytes as sent, hex. */
	sha256: string;
	image: Inspected;
}

/**
 * @param declared what the sender says it is, or null where nobody said
 * @throws ApiError naming the field, where the bytes are no image that we take
 */
export async function receive(
	bytes: Uint8Array<ArrayBuffer>,
	declared: ImageType | null,
	field: string,
	limit: number,
): Promise<Received> {
	const { image } = unwrap(inspect(bytes, declared, field, limit));
	return { bytes: bytes.length, sha256: await digest(bytes), image };
}

/** Puts an image under the final key of an upload. @throws ApiError `storage_unavailable` */
export async function place(
	config: Config,
	account: string,
	id: string,
	{ bytes, contentType, width, height }: Inspected,
): Promise<{ id: string } & StoredImage> {
	const sha256 = await digest(bytes);
	await s3.put(config, finalKey(account, id), { bytes, contentType, sha256 });
	return { id, sha256, bytes: bytes.length, width, height };
}

/**
 * Images that came through the Worker, as ready uploads. Their rows come first: whatever fails after that is swept.
 * @throws ApiError `storage_unavailable`
 */
export async function store(
	c: Context<App>,
	caller: Caller,
	received: readonly Received[],
): Promise<UploadView[]> {
	if (received.length === 0) return [];
	const { account, secretHash } = caller;
	const drafts = received.map(({ bytes, sha256, image }) => ({
		id: newUploadId(Date.now()),
		contentType: image.contentType,
		bytes,
		sha256,
		staged: false,
	}));
	unwrap(await account.createUploads(secretHash, drafts));
	try {
		const images = await Promise.all(
			drafts.map(({ id }, n) =>
				place(config(c.env), caller.id, id, (received[n] as Received).image),
			),
		);
		return unwrap(await account.finalizeUploads(secretHash, images)).uploads;
	} catch (error) {
		const ids = drafts.map(({ id }) => id);
		await discard(c, caller, ids);
		throw error;
	}
}

export const digest = async (bytes: Uint8Array<ArrayBuffer>): Promise<string> =>
	hex(await crypto.subtle.digest("SHA-256", bytes));

/** Also where the caller is authenticated. */
async function lookUp(
	caller: Caller,
	sources: readonly ImageSource[],
	fields: readonly string[],
): Promise<UploadView[]> {
	const ids: string[] = [];
	const named: string[] = [];
	for (const [n, source] of sources.entries()) {
		if (!("upload" in source)) continue;
		ids.push(source.upload);
		named.push(fields[n] as string);
	}
	const { account, secretHash } = caller;
	return unwrap(await account.uploads(secretHash, ids, named)).uploads;
}

async function readUrl(
	c: Context<App>,
	url: string,
	field: string,
): Promise<Received> {
	const limit = IMAGE_LIMITS.inlineBytes;
	if (/^data:/i.test(url)) {
		const { bytes, contentType } = readDataUrl(url, field);
		return receive(bytes, contentType, field, limit);
	}
	const { DNS_URL, EGRESS_ALLOW } = config(c.env);
	const bytes = await fetchGuarded(url, limit, field, {
		resolve: dnsOverHttps(DNS_URL),
		allow: EGRESS_ALLOW,
	});
	return receive(bytes, null, field, limit);
}
