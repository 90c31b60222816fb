import { ApiError } from "../errors.ts";
import { IMAGE_LIMITS } from "../schema/image.ts";
import { sniff } from "./sniff.ts";

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
	const head = headOf(url);
	if (!head) throw refused("is no data URL. Send `data:image/jpeg;base64,…`.");
	const comma = head.length - 1;
	const limit = IMAGE_LIMITS.inlineBytes;
	const tooLarge = new ApiError({ code: "image_too_large", field, limit });
	const digits = Math.ceil(limit / 3) * 4;
	const fragment = url.indexOf("#", comma);
	const data = url.slice(comma + 1, fragment < 0 ? undefined : fragment);
	// Each byte or digit may be written as three characters.
	if (data.length > 3 * digits) throw tooLarge;
	const empty = "holds no bytes. Put the file, in base64, behind the comma.";
	if (!BASE64.test(head.replaceAll(QUOTED, ""))) {
		const bytes = percentDecoded(data);
		if (bytes.length > limit) throw tooLarge;
		if (bytes.length === 0) throw refused(empty);
		return bytes;
	}
	const text = digitsOf(
		data.includes("%") ? latin1(percentDecoded(data)) : data,
	);
	if (text.length > digits) throw tooLarge;
	if (text === "") throw refused(empty);
	try {
		const alphabet = /[-_]/.test(text) ? "base64url" : "base64";
		return Uint8Array.fromBase64(text, { alphabet });
	} catch {
		throw refused("holds broken base64. Encode the whole file again.");
	}
}

const QUOTED = /"(?:[^"\\]|\\.)*"/g;
/** Among the parameters, wherever it stands. */
const BASE64 = /;\s*base64\s*[;,]/i;

/** Up to the comma before the data: a comma within quotes is part of a parameter, and so is one before `;base64,`. */
function headOf(url: string): string | null {
	const start = url.slice(0, MAX_HEAD);
	const [head] =
		/^(?:[^",]|"(?:[^"\\]|\\.)*")*,/.exec(start) ?? /^[^,]*,/.exec(start) ?? [];
	if (!head || BASE64.test(head.replaceAll(QUOTED, ""))) return head ?? null;
	const [whole] = /^.*?;\s*base64\s*,/is.exec(start) ?? [];
	// An image may hold these letters too.
	const begin = percentDecoded(start.slice(head.length));
	return whole && !sniff(begin) ? whole : head;
}

/** The digits of base64 alone: no line ends, query or padding, and each `+` that a form made a space is one again. */
function digitsOf(data: string): string {
	const text = data
		.replaceAll(/[\t\n\f\r]+/g, "")
		.trim()
		.replace(/\?[\w.~=&-]+$/, "");
	let end = text.length;
	while (text[end - 1] === "=") end--;
	const padding = text.length - end;
	const lines = text.slice(0, end).split(" ");
	const joined = lines.join("");
	if (lines.length === 1 || joined.includes("+")) return joined;
	// Lines are of one length, but for the last.
	const width = lines[0]?.length ?? 0;
	const last = lines.at(-1)?.length ?? 0;
	const isWrapped =
		last <= width && lines.slice(0, -1).every((line) => line.length === width);
	const isWhole = (digits: string) =>
		padding > 0 ? (digits.length + padding) % 4 === 0 : digits.length % 4 !== 1;
	const summed = lines.join("+");
	const isSummed = !(isWrapped && isWhole(joined)) && isWhole(summed);
	return isSummed ? summed : joined;
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
