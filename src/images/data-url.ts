/**
 * Reads images that a caller sends inline, as `data:` URLs (RFC 2397, as browsers read them).
 *
 * Runs in the Worker, as images/ does; s3.ts and key.ts run in the Account and Job objects too.
 */
import { ApiError } from "../errors.ts";
import { IMAGE_LIMITS } from "../schema/image.ts";
import { sniff } from "./format.ts";

/** As in browsers, white space before the URL does not count. */
export const isDataUrl = (url: string): boolean => /^\s*data:/i.test(url);

/** No real media type with its parameters is longer. */
const MAX_HEAD = 4096;

/**
 * Decodes base64, base64url or percent-encoding. It refuses a URL over the limit before it decodes
 * it. The declared media type does not matter.
 * @param field the request's field, for errors
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
	if (!head)
		throw refused("is not a data URL. Send `data:image/jpeg;base64,…`.");
	const comma = head.length - 1;
	const limit = IMAGE_LIMITS.inlineBytes;
	const tooLarge = new ApiError({ code: "image_too_large", field, limit });
	const maxDigits = Math.ceil(limit / 3) * 4;
	const fragment = url.indexOf("#", comma);
	const data = url.slice(comma + 1, fragment < 0 ? undefined : fragment);
	// Percent-encoding writes a byte or a digit as three characters.
	if (data.length > 3 * maxDigits) throw tooLarge;
	const empty = "holds no bytes. Put the file, in base64, behind the comma.";
	if (!BASE64.test(head.replaceAll(QUOTED, ""))) {
		const bytes = percentDecoded(data);
		if (bytes.length > limit) throw tooLarge;
		if (bytes.length === 0) throw refused(empty);
		return bytes;
	}
	const digits = digitsOf(
		data.includes("%") ? latin1(percentDecoded(data)) : data,
	);
	if (digits.length > maxDigits) throw tooLarge;
	if (digits === "") throw refused(empty);
	try {
		const alphabet = /[-_]/.test(digits) ? "base64url" : "base64";
		return Uint8Array.fromBase64(digits, { alphabet });
	} catch {
		throw refused("holds broken base64. Encode the whole file again.");
	}
}

const QUOTED = /"(?:[^"\\]|\\.)*"/g;
/** The `base64` flag, anywhere among the parameters. */
const BASE64 = /;\s*base64\s*[;,]/i;

/**
 * The URL up to and including the comma before the data. A comma within quotation marks belongs to
 * a parameter, and so does one before `;base64,`, unless an image begins behind it.
 */
function headOf(url: string): string | null {
	const start = url.slice(0, MAX_HEAD);
	const [head] =
		/^(?:[^",]|"(?:[^"\\]|\\.)*")*,/.exec(start) ?? /^[^,]*,/.exec(start) ?? [];
	if (!head || BASE64.test(head.replaceAll(QUOTED, ""))) return head ?? null;
	const [whole] = /^.*?;\s*base64\s*,/is.exec(start) ?? [];
	// The bytes of a percent-encoded image may spell `;base64,` too.
	const begin = percentDecoded(start.slice(head.length));
	return whole && !sniff(begin) ? whole : head;
}

/**
 * The base64 digits alone, without line breaks, query and padding. A form turns `+` into a space,
 * so a space stands for a `+` unless the text looks wrapped into lines.
 */
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
	// In wrapped text all lines but the last have the same length.
	const width = lines[0]?.length ?? 0;
	const last = lines.at(-1)?.length ?? 0;
	const isWrapped =
		last <= width && lines.slice(0, -1).every((line) => line.length === width);
	const isWhole = (digits: string) =>
		padding > 0 ? (digits.length + padding) % 4 === 0 : digits.length % 4 !== 1;
	const withPlus = lines.join("+");
	const lostPlus = !(isWrapped && isWhole(joined)) && isWhole(withPlus);
	return lostPlus ? withPlus : joined;
}

/** Characters that are not percent-encoded stand for themselves, in UTF-8. */
function percentDecoded(text: string): Uint8Array<ArrayBuffer> {
	const bytes = new TextEncoder().encode(text);
	let to = 0;
	for (let at = 0; at < bytes.length; at++, to++) {
		const byte = bytes[at] as number;
		const hex = byte === 0x25 ? latin1(bytes.subarray(at + 1, at + 3)) : "";
		const isEncoded = /^[0-9a-f]{2}$/i.test(hex);
		bytes[to] = isEncoded ? Number.parseInt(hex, 16) : byte;
		if (isEncoded) at += 2;
	}
	return bytes.slice(0, to);
}

const latin1 = (bytes: Uint8Array): string =>
	new TextDecoder("latin1").decode(bytes);
