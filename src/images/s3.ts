/** The bucket: the few calls we make, over any S3-compatible service. */
import { createHash, createHmac } from "node:crypto";
import {
	DeleteObjectCommand,
	GetObjectCommand,
	PutObjectCommand,
	S3Client,
} from "@aws-sdk/client-s3";
import { S3RequestPresigner } from "@aws-sdk/s3-request-presigner";
import { FetchHttpHandler } from "@smithy/fetch-http-handler";
import type { Config } from "../env.ts";
import { ApiError } from "../errors.ts";
import { logLine } from "../log.ts";
import { readAtMost } from "../read-at-most.ts";

/**
 * What a caller may wait for the store in all: every try, the pauses between them, and the object's
 * bytes.
 */
const TOTAL_MS = 20_000;
/**
 * How long a try may take until the store answers: half of the whole, so that one that hangs leaves
 * time for another.
 */
const TRY_MS = 10_000;
/**
 * Refusals and overloads come back quickly: three tries with the SDK's pauses take less than 4 s.
 */
const TRIES = 3;
/** One attempt of a job fetches its images at its start; this covers a slow start. */
const GET_VALID_S = 15 * 60;

type Store = Pick<
	Config,
	| "S3_ENDPOINT"
	| "S3_REGION"
	| "S3_BUCKET"
	| "S3_ACCESS_KEY_ID"
	| "S3_SECRET_ACCESS_KEY"
>;

/**
 * Stores an object.
 * @param sha256 of the bytes, hex; the store checks it
 * @throws ApiError `storage_unavailable`
 */
export async function put(
	config: Store,
	key: string,
	object: {
		bytes: Uint8Array<ArrayBuffer>;
		contentType: string;
		sha256: string;
	},
): Promise<void> {
	const command = new PutObjectCommand({
		Bucket: config.S3_BUCKET,
		Key: key,
		Body: object.bytes,
		ContentType: object.contentType,
	});
	// Signed as the payload's hash, which the SDK would otherwise compute a second time.
	command.middlewareStack.add(
		(next) => (args) => {
			const { headers } = args.request as { headers: Record<string, string> };
			headers["x-amz-content-sha256"] = object.sha256;
			return next(args);
		},
		{ step: "build" },
	);
	try {
		await clientOf(config).s3.send(command, bounded());
	} catch (error) {
		throw unavailable("PUT", error);
	}
}

/**
 * An object's bytes, or null where there is none, or `too_large` without reading on.
 * @param limit bytes
 * @throws ApiError `storage_unavailable`
 */
export async function get(
	config: Store,
	key: string,
	limit: number,
): Promise<Uint8Array<ArrayBuffer> | "too_large" | null> {
	const command = new GetObjectCommand({ Bucket: config.S3_BUCKET, Key: key });
	try {
		const { Body, ContentLength } = await clientOf(config).s3.send(
			command,
			bounded(),
		);
		const headers = new Headers({
			"Content-Length": String(ContentLength ?? 0),
		});
		const body = Body?.transformToWebStream() ?? null;
		return (await readAtMost({ headers, body }, limit)) ?? "too_large";
	} catch (error) {
		if (statusOf(error) === 404) return null;
		throw unavailable("GET", error);
	}
}

/**
 * Deletes an object; one that is not there counts as deleted.
 * @throws ApiError `storage_unavailable`
 */
export async function remove(config: Store, key: string): Promise<void> {
	const command = new DeleteObjectCommand({
		Bucket: config.S3_BUCKET,
		Key: key,
	});
	try {
		await clientOf(config).s3.send(command, bounded());
	} catch (error) {
		if (statusOf(error) !== 404) throw unavailable("DELETE", error);
	}
}

/**
 * A URL at which exactly these bytes may be PUT: type, length and hash are headers under the
 * signature, so that the store refuses anything else.
 * @param expiresIn seconds
 * @returns the URL, and the headers to send with it
 */
export async function presignPut(
	config: Store,
	key: string,
	object: { contentType: string; bytes: number; sha256: string },
	expiresIn: number,
): Promise<{ url: string; headers: Record<string, string> }> {
	const headers = {
		"Content-Type": object.contentType,
		"Content-Length": String(object.bytes),
		"x-amz-checksum-sha256": Buffer.from(object.sha256, "hex").toString(
			"base64",
		),
	};
	const url = await presign(config, "PUT", key, expiresIn, headers);
	return { url, headers };
}

/** A URL at which the object may be read for a while. For the GPU worker. */
export const presignGet = (config: Store, key: string): Promise<string> =>
	presign(config, "GET", key, GET_VALID_S, {});

/**
 * Every attempt of a job presigns each of its images, so this goes to the SDK's signer itself:
 * `getSignedUrl` runs the command's whole middleware first, at five times its processor time.
 * @param headers all of them go under the signature
 */
async function presign(
	config: Store,
	method: string,
	key: string,
	expiresIn: number,
	headers: Record<string, string>,
): Promise<string> {
	const { presigner, origin, path } = clientOf(config);
	const { host, hostname, protocol } = new URL(origin);
	const signed = Object.entries(headers).map(
		([name, value]) => [name.toLowerCase(), value] as const,
	);
	// Left to itself the signer skips the type and the length, and moves the hash into the URL.
	const names = new Set(signed.map(([name]) => name));
	const request = await presigner.presign(
		{
			method,
			protocol,
			hostname,
			path: `${path}/${key}`,
			headers: { host, ...Object.fromEntries(signed) },
		},
		{ expiresIn, signableHeaders: names, unhoistableHeaders: names },
	);
	const query = new URLSearchParams(request.query as Record<string, string>);
	return `${origin}${request.path}?${query}`;
}

interface Client {
	s3: S3Client;
	presigner: S3RequestPresigner;
	/** Of the store. */
	origin: string;
	/** Of the bucket there: behind the endpoint's own path, where it has one. */
	path: string;
}

const clients = new WeakMap<Store, Client>();

/**
 * One client for each configuration: it keeps the signing key of the day, and counts how often the
 * store may be tried again.
 */
function clientOf(config: Store): Client {
	const cached = clients.get(config);
	if (cached) return cached;
	const { origin, pathname } = new URL(config.S3_ENDPOINT);
	const prefix = pathname.replace(/\/+$/, "");
	const signing = {
		region: config.S3_REGION,
		credentials: {
			accessKeyId: config.S3_ACCESS_KEY_ID,
			secretAccessKey: config.S3_SECRET_ACCESS_KEY,
		},
		sha256: Sha256,
	};
	const client: Client = {
		s3: new S3Client({
			...signing,
			endpoint: origin + prefix,
			forcePathStyle: true,
			maxAttempts: TRIES,
			requestHandler: new Fetcher({
				requestInit: () => ({ redirect: "manual" }),
			}),
			// Bytes are checked by their SHA-256, on the way there by the store and on the way back by
			// us.
			requestChecksumCalculation: "WHEN_REQUIRED",
			responseChecksumValidation: "WHEN_REQUIRED",
			logger: SILENT,
		}),
		presigner: new S3RequestPresigner(signing),
		origin,
		path: `${prefix}/${config.S3_BUCKET}`,
	};
	clients.set(config, client);
	return client;
}

const nothing = () => {};
/** Silences the SDK's own log lines: they are not JSON and quote requests and responses. */
const SILENT = {
	trace: nothing,
	debug: nothing,
	info: nothing,
	warn: nothing,
	error: nothing,
};

const bounded = () => ({ abortSignal: AbortSignal.timeout(TOTAL_MS) });

/**
 * `fetch` for the SDK, by which a try ends in time, and one whose connection failed is repeated.
 */
class Fetcher extends FetchHttpHandler {
	override async handle(
		request: Parameters<FetchHttpHandler["handle"]>[0],
		options: Parameters<FetchHttpHandler["handle"]>[1] = {},
	): ReturnType<FetchHttpHandler["handle"]> {
		const whole = options.abortSignal as AbortSignal;
		const late = new AbortController();
		const timer = setTimeout(() => late.abort(), TRY_MS);
		try {
			const abortSignal = AbortSignal.any([whole, late.signal]);
			return await super.handle(request, { ...options, abortSignal });
		} catch (error) {
			if (whole.aborted) throw new Error(`no answer in ${TOTAL_MS} ms`);
			const cause = late.signal.aborted
				? new Error(`no answer in ${TRY_MS} ms`)
				: (error as Error);
			// By itself the SDK repeats what browsers call a failed connection, and workerd has other
			// words.
			throw Object.assign(cause, { $retryable: {} });
		} finally {
			clearTimeout(timer);
		}
	}
}

/**
 * For the signer, in one turn: the SDK's own for the web waits for each hash, and hashes 8 MB and
 * more in JavaScript.
 */
class Sha256 {
	readonly #begin: () => Hash;
	#hash: Hash;

	/** @param secret of an HMAC; the SDK's are texts and byte arrays */
	constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
		this.#begin = () =>
			secret === undefined
				? createHash("sha256")
				: createHmac("sha256", secret as string | Uint8Array);
		this.#hash = this.#begin();
	}

	update(data: Uint8Array): void {
		this.#hash.update(data);
	}

	async digest(): Promise<Uint8Array> {
		return this.#hash.digest();
	}

	reset(): void {
		this.#hash = this.#begin();
	}
}
interface Hash {
	update(data: Uint8Array): unknown;
	digest(): Uint8Array;
}

const statusOf = (error: unknown): number | undefined =>
	(error as { $metadata?: { httpStatusCode?: number } }).$metadata
		?.httpStatusCode;

/**
 * Operators see what the store said, by its name alone; the caller only that it did not do its
 * part.
 */
function unavailable(method: string, error: unknown): ApiError {
	const status = statusOf(error);
	const cause = status ? `${status} ${(error as Error).name}` : String(error);
	logLine("storage_failed", { method, cause });
	return new ApiError({ code: "storage_unavailable" });
}
