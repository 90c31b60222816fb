/** WebP (RFC 9649): a RIFF container whose header says how long the file is. */
import { orientationOf, tiffOf } from "./exif.ts";
import {
	MAX_BLOCKS,
	Pieces,
	type Reading,
	type Size,
	startsWith,
	view,
} from "./format.ts";

/** All but EXIF, XMP and what the container does not define. */
const KEPT = new Set(["VP8X", "VP8 ", "VP8L", "ALPH", "ANIM", "ANMF", "ICCP"]);
const EXIF_FLAG = 0x08;
const XMP_FLAG = 0x04;

export function readWebp(bytes: Uint8Array<ArrayBuffer>): Reading {
	const data = view(bytes);
	if (bytes.length < 12) return { state: "truncated", size: null };
	const end = 8 + data.getUint32(4, true);
	const pieces = new Pieces(bytes);
	let size: Size | null = null;
	/** Offset of VP8X in the file, which is also its offset in what is kept: it comes first. */
	let extended = false;
	let hasData = false;
	let orientation = 1;
	let at = 12;
	pieces.keep(0, 12);
	for (let blocks = 0; at < end; blocks++) {
		if (blocks === MAX_BLOCKS) return { state: "malformed", size };
		if (at + 8 > bytes.length) return { state: "truncated", size };
		const type = String.fromCharCode(...bytes.subarray(at, at + 4));
		const length = data.getUint32(at + 4, true);
		const body = at + 8;
		const next = body + length + (length % 2);
		if (next > end) return { state: "malformed", size };
		if (type === "VP8X" && blocks > 0) return { state: "malformed", size };
		if (type === "VP8X" || (!size && (type === "VP8 " || type === "VP8L"))) {
			const header = frameSize(type, bytes.subarray(body, body + length));
			if (!header) {
				const state = body + 10 > bytes.length ? "truncated" : "malformed";
				return { state, size };
			}
			size = header;
		}
		if (next > bytes.length) return { state: "truncated", size };
		if (type === "EXIF") {
			const tiff = startsWith(bytes, "Exif\0\0", body) ? body + 6 : body;
			orientation = orientationOf(bytes.subarray(tiff, body + length));
		} else if (KEPT.has(type)) pieces.keep(at, next);
		extended ||= type === "VP8X";
		hasData ||= type === "VP8 " || type === "VP8L" || type === "ANMF";
		at = next;
	}
	if (bytes.length < end) return { state: "truncated", size };
	if (!size || !hasData) return { state: "malformed", size };
	const keepsExif = extended && orientation > 1;
	if (keepsExif) pieces.insert(exifChunk(orientation));
	let kept = pieces.build();
	if (extended || kept.length !== bytes.length) {
		if (kept === bytes) kept = bytes.slice();
		view(kept).setUint32(4, kept.length - 8, true);
		if (extended) {
			const flags = (kept[20] as number) & ~(EXIF_FLAG | XMP_FLAG);
			kept[20] = keepsExif ? flags | EXIF_FLAG : flags;
		}
	}
	return { state: "whole", size, kept };
}

/** Size of the canvas or the frame, from the first bytes of the chunk; null where they are missing or wrong. */
function frameSize(type: string, body: Uint8Array): Size | null {
	const data = view(body);
	switch (type) {
		case "VP8X":
			if (body.length < 10) return null;
			return {
				width: 1 + (data.getUint32(4, true) & 0xffffff),
				height: 1 + (data.getUint32(6, true) >>> 8),
			};
		case "VP8L": {
			if (body.length < 5 || body[0] !== 0x2f) return null;
			const bits = data.getUint32(1, true);
			return {
				width: 1 + (bits & 0x3fff),
				height: 1 + ((bits >>> 14) & 0x3fff),
			};
		}
		default:
			if (body.length < 10 || !startsWith(body, "\x9d\x01\x2a", 3)) return null;
			return {
				width: data.getUint16(6, true) & 0x3fff,
				height: data.getUint16(8, true) & 0x3fff,
			};
	}
}

function exifChunk(orientation: number): Uint8Array {
	const tiff = tiffOf(orientation);
	const bytes = new Uint8Array(8 + tiff.length);
	bytes.set([0x45, 0x58, 0x49, 0x46]); // EXIF
	view(bytes).setUint32(4, tiff.length, true);
	bytes.set(tiff, 8);
	return bytes;
}
