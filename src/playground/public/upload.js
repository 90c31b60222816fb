// @ts-check
/** Uploads a photo: through the API up to 4 MB, above that straight to S3. */
import { call, Problem, send } from "./http.js";
import { sha256 } from "./sha256.js";

const MB = 1024 * 1024;
/** The largest photo that the API takes in one call. */
export const ONE_CALL_BYTES = 4 * MB;
const MAX_BYTES = 20 * MB;
/** The first bytes of a JPEG, a PNG, a WebP or a GIF. */
const SIGNATURES = /^(\xff\xd8\xff|\x89PNG\r\n|RIFF....WEBP|GIF8[79]a)/s;
/** The page declares no type: the API reads it from the bytes. */
const UNKNOWN = "application/octet-stream";

/** @typedef {{ id: string, width: number | null, height: number | null }} Upload */

/**
 * @param {File} file @param {string} key
 * @param {{ signal: AbortSignal, onProgress: (share: number) => void }} options
 * @returns {Promise<Upload>} a finalized upload, which a job can use
 * @throws {Problem}
 */
export async function upload(file, key, options) {
	const head = new Uint8Array(await file.slice(0, 12).arrayBuffer());
	if (
		!file.type.startsWith("image/") &&
		!SIGNATURES.test(String.fromCharCode(...head))
	) {
		const type = file.type ? ` (${file.type})` : "";
		throw new Problem(
			`This is no photo that can be read${type}. Choose a JPEG, PNG, WebP or GIF.`,
			{ code: "image_type_unsupported" },
		);
	}
	if (file.size > MAX_BYTES)
		throw new Problem(
			`The photo has ${Math.ceil(file.size / MB)} MB; 20 MB is the most. ` +
				"Scale it down: the model sees a few hundred pixels a side.",
			{ code: "image_too_large" },
		);
	if (file.size <= ONE_CALL_BYTES) {
		const headers = {
			Authorization: `Bearer ${key}`,
			"Content-Type": UNKNOWN,
		};
		return JSON.parse(
			await send("POST", "/v1/uploads", headers, file, options),
		);
	}
	const hash = await sha256(await file.arrayBuffer());
	if (!hash)
		throw new Problem(
			"Photos over 4 MB need this page over https or on localhost. " +
				"Scale the photo down, or open the page there.",
			{ code: "insecure_page" },
		);
	const pending = await call("/v1/uploads", key, {
		method: "POST",
		headers: { "Content-Type": "application/json" },
		body: JSON.stringify({
			content_type: UNKNOWN,
			bytes: file.size,
			sha256: hash,
		}),
		signal: options.signal,
	}).then((response) => response.json());
	await send(
		"PUT",
		pending.put.url,
		settable(pending.put.headers),
		file,
		options,
	);
	return call(`/v1/uploads/${pending.id}/finalize`, key, {
		method: "POST",
		signal: options.signal,
	}).then((response) => response.json());
}

/**
 * The signed headers that a page may set. The browser sets the others itself.
 * @param {Record<string, string>} headers
 */
const settable = (headers) =>
	Object.fromEntries(
		Object.entries(headers).filter(
			([name]) => !/^(host|content-length)$/i.test(name),
		),
	);
