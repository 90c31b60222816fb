import { ApiError } from "../errors.ts";
import { IMAGE_LIMITS } from "../schema/image.ts";

/** The browser's parser of URLs forgives what stands around one. */
export const isDataUrl = (url: string): boolean => /^\s*data:/i.test(url);

/** A type with all its parameters ends long before that. */
const MAX_HEAD = 4096;

/**
 * The bytes of a `data:` URL (RFC 2397, as browsers read it): in base64, plain or for URLs, or percent-encoded. Refused
 * by length before it is decoded. What type it says plays no part.
 * @param field of the request, for errors
 * @throws ApiError `url_refused`, `image_too_large`
 */
export function readDataUrl(
	url: string,
	field: string,
): Uint8Array<ArrayBuffer> {
	const refused = (words: string) =>
		new ApiError({
			code: "url_refused",
			field,
			detail: `\`${field}\` ${words}`,
		});
	const comma = url.slice(0, MAX_HEAD).indexOf(",");
	if (comma < 0)
		throw refused("is no data URL. Send `data:image/jpeg;base64,…`.");
	const limit = IMAGE_LIMITS.inlineBytes;
	const tooLarge = new ApiError({ code: "image_too_large", field, limit });
	const digits = Math.ceil(limit / 3) * 4;
	const fragment = url.indexOf("#", comma);
	const data = url.slice(comma + 1, fragment < 0 ? undefined : fragment);
	// Each byte or digit may be written as three characters.
	if (data.length > 3 * digits) throw tooLarge;
	if (!/; *base64 *$/i.test(url.slice(0, comma))) {
		const bytes = percentDecoded(data);
		if (bytes.length > limit) throw tooLarge;
		return bytes;
	}
	const text = (
		data.includes("%") ? latin1(percentDecoded(data)) : data
	).replaceAll(/[\t\n\f\r ]+/g, "");
	if (text.length > digits) throw tooLarge;
	try {
		const alphabet = /[-_]/.test(text) ? "base64url" : "base64";
		return Uint8Array.fromBase64(text, { alphabet });
	} catch {
		throw refused("holds broken base64. Encode the whole file again.");
	}
}

/** What is not percent-encoded stands for itself, in UTF-8. */
function percentDecoded(text: string): Uint8Array<ArrayBuffer> {
	const bytes = new TextEncoder().encode(text);
	let to = 0;
	for (let at = 0; at < bytes.length; at++, to++) {
		const byte = bytes[at] as number;
		const hex = byte === 0x25 ? latin1(bytes.subarray(at + 1, at + 3)) : "";
		const isCoded = /^[0-9a-f]{2}$/i.test(hex);
		bytes[to] = isCoded ? Number.parseInt(hex, 16) : byte;
		if (isCoded) at += 2;
	}
	return bytes.slice(0, to);
}

const latin1 = (bytes: Uint8Array): string =>
	new TextDecoder("latin1").decode(bytes);
