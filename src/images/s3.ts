/** The bucket: the few calls we make, over any S3-compatible service. */
import { AwsClient, AwsV4Signer } from "aws4fetch";
import type { Config } from "../env.ts";

import { ApiError } from "../errors.ts";
import { log } from "../log.ts";
import { readAtMost } from "../read-at-most.ts";

const TIMEOUT_MS = 20_000;
/** One attempt of a job fetches its images at its start; this covers a slow start. */
const GET_VALID_S = 15 * 60;

const urlOf = (config: Config, key: string): string =>
	`${config.S3_ENDPOINT.replace(/\/+$/, "")}/${config.S3_BUCKET}/${key}`;

const signing = (config: Config) => ({
	accessKeyId: config.S3_ACCESS_KEY_ID,
	secretAccessKey: config.S3_SECRET_ACCESS_KEY,
	region: config.S3_REGION,
	service: "s3",
});

/**
 * Stores an object.
 * @param sha256 of the bytes, hex; the store checks it
 * @throws ApiError `storage_unavailable`
 */
export async function put(
	config: Config,
	key: string,
	object: {
		bytes: Uint8Array<ArrayBuffer>;
		contentType: string;
		sha256: string;
	},
): Promise<void> {
	const answer = await send(config, "PUT", key, {
		body: object.bytes,
		headers: {
			"Content-Type": object.contentType,
			"X-Amz-Content-Sha256": object.sha256,
		},
	});
	await answer.body?.cancel();
	if (!answer.ok) throw unavailable("PUT", answer.status);
}

/**
 * An object's bytes, or null where there is none, or `too_large` without reading on.
 * @param limit bytes
 * @throws ApiError `storage_unavailable`
 */
export async function get(
	config: Config,
	key: string,
	limit: number,
): Promise<Uint8Array<ArrayBuffer> | "too_large" | null> {
	const answer = await send(config, "GET", key);
	if (!answer.ok) {
		await answer.body?.cancel();
		if (answer.status === 404) return null;
		throw unavailable("GET", answer.status);
	}
	try {
		return (await readAtMost(answer, limit)) ?? "too_large";
	} catch (error) {
		throw unavailable("GET", String(error));
	}
}

/**
 * Deletes an object; one that is not there counts as deleted.
 * @throws ApiError `storage_unavailable`
 */
export async function remove(config: Config, key: string): Promise<void> {
	const answer = await send(config, "DELETE", key);
	await answer.body?.cancel();
	if (!answer.ok && answer.status !== 404)
		throw unavailable("DELETE", answer.status);
}

/**
 * A URL at which exactly these bytes may be PUT: type, length and hash are headers under the signature, so that the
 * store refuses anything else.
 * @param expiresIn seconds
 * @returns the URL, and the headers to send with it
 */
export async function presignPut(
	config: Config,
	key: string,
	object: { contentType: string; bytes: number; sha256: string },
	expiresIn: number,
): Promise<{ url: string; headers: Record<string, string> }> {
	const headers = {
		"Content-Type": object.contentType,
		"Content-Length": String(object.bytes),
		"x-amz-checksum-sha256": base64OfHex(object.sha256),
	};
	// Left to itself the signer skips the first two: `allHeaders` puts them under the signature.
	const url = await presign(config, "PUT", key, expiresIn, {
		headers,
		allHeaders: true,
	});
	return { url, headers };
}

/** A URL at which the object may be read for a while. For the GPU worker. */
export const presignGet = (config: Config, key: string): Promise<string> =>
	presign(config, "GET", key, GET_VALID_S, {});

async function presign(
	config: Config,
	method: string,
	key: string,
	expiresIn: number,
	more: { headers?: Record<string, string>; allHeaders?: boolean },
): Promise<string> {
	const signed = await new AwsV4Signer({
		...signing(config),
		...more,
		method,
		url: `${urlOf(config, key)}?X-Amz-Expires=${expiresIn}`,
		signQuery: true,
	}).sign();
	return signed.url.toString();
}

async function send(
	config: Config,
	method: string,
	key: string,
	init: RequestInit = {},
): Promise<Response> {
	const client = new AwsClient({ ...signing(config), retries: 1 });
	try {
		return await client.fetch(urlOf(config, key), {
			...init,
			method,
			redirect: "manual",
			signal: AbortSignal.timeout(TIMEOUT_MS),
		});
	} catch (error) {
		throw unavailable(method, String(error));
	}
}

/** Operators see what the store said; the caller only that it did not do its part. */
function unavailable(method: string, cause: string | number): ApiError {
	log("storage_failed", { method, cause });
	return new ApiError({ code: "storage_unavailable" });
}

const base64OfHex = (hex: string): string =>
	btoa(
		String.fromCharCode(
			...(hex.match(/../g) ?? []).map((pair) => Number.parseInt(pair, 16)),
		),
	);
