/** Reads JPEG (ITU-T T.81): segments from SOI to EOI. */
import { orientationOf, tiffOf } from "./exif.ts";
import {
	MAX_BLOCKS,
	Pieces,
	type ReadResult,
	type Size,
	startsWith,
	view,
} from "./format.ts";
import { Tables } from "./jpeg-tables.ts";

const TEM = 0x01;
const RST0 = 0xd0;
const RST7 = 0xd7;
const SOI = 0xd8;
const EOI = 0xd9;
const SOS = 0xda;
const APP0 = 0xe0;
const APP1 = 0xe1;
const APP2 = 0xe2;
const APP14 = 0xee;
const APP15 = 0xef;
const DNL = 0xdc;
const COM = 0xfe;
const EXIF = "Exif\0\0";
/**
 * Each scan may visit every pixel, so thousands of tiny scans of a large picture would keep a
 * decoder busy for minutes.
 */
const MAX_SCANNED_PIXELS = 4_000_000_000;

/** A start of frame: C0 to CF except DHT (C4), JPG (C8) and DAC (CC). */
const isFrame = (marker: number): boolean =>
	marker >= 0xc0 &&
	marker <= 0xcf &&
	marker !== 0xc4 &&
	marker !== 0xc8 &&
	marker !== 0xcc;

/** A segment that decoders skip by its length, whatever it holds. */
const isSkipped = (marker: number): boolean =>
	(marker >= APP0 && marker <= APP15) || marker === COM || marker === DNL;

/**
 * Keeps tables, frames, scans, JFIF, the colour profile and Adobe's colour transform. Drops
 * comments, other application segments (EXIF, XMP, IPTC, maker data), bytes between segments, and
 * bytes after the end, where phones append whole second pictures and videos, each with a location.
 */
export function readJpeg(bytes: Uint8Array<ArrayBuffer>): ReadResult {
	const pieces = new Pieces(bytes);
	const tables = new Tables();
	let size: Size | null = null;
	let scans = 0;
	let oriented = false;
	let at = 2;
	pieces.keep(0, 2);
	for (let blocks = 0; blocks < MAX_BLOCKS; blocks++) {
		at = markerFrom(bytes, at);
		const start = at;
		const marker = bytes[start + 1];
		if (marker === undefined) return { state: "truncated", size };
		at += 2;
		if (marker === EOI) {
			if (!size || scans === 0) return { state: "malformed", size };
			pieces.keep(start, at);
			return { state: "whole", size, kept: pieces.build() };
		}
		if (marker === TEM || (marker >= RST0 && marker <= RST7)) continue;
		if (marker === SOI) return { state: "malformed", size };
		if (at + 2 > bytes.length) return { state: "truncated", size };
		const length = view(bytes).getUint16(at);
		if (length < 2 && !isSkipped(marker)) return { state: "malformed", size };
		const end = at + Math.max(2, length);
		if (isFrame(marker)) {
			if (size || length < 8) return { state: "malformed", size };
			if (at + 7 > bytes.length) return { state: "truncated", size };
			size = {
				height: view(bytes).getUint16(at + 3),
				width: view(bytes).getUint16(at + 5),
			};
		}
		if (end > bytes.length) return { state: "truncated", size };
		const body = bytes.subarray(at + 2, end);
		if (!isSkipped(marker) && !tables.take(marker, body))
			return { state: "malformed", size };
		at = end;
		if (marker === SOS) {
			scans++;
			const { width, height } = size as Size;
			if (scans * width * height > MAX_SCANNED_PIXELS)
				return { state: "malformed", size };
			at = scanEnd(bytes, end);
			pieces.keep(start, at);
		} else if (marker === APP1 && startsWith(body, EXIF, 0) && !oriented) {
			const orientation = orientationOf(body.subarray(EXIF.length));
			if (orientation > 1) pieces.insert(exifSegment(orientation));
			oriented = true;
		} else if (isKept(marker, body)) pieces.keep(start, end);
	}
	return { state: "malformed", size };
}

/** The offset of the next marker. Skips fill bytes and stray bytes, as decoders do. */
function markerFrom(bytes: Uint8Array, from: number): number {
	for (let at = from; at < bytes.length; at++) {
		const next = bytes[at + 1];
		if (bytes[at] === 0xff && next !== 0 && next !== 0xff) return at;
	}
	return bytes.length;
}

/**
 * The end of the entropy-coded data from here on: the next marker other than a restart, or the end
 * of the file.
 */
function scanEnd(bytes: Uint8Array, from: number): number {
	const last = bytes.length - 1;
	for (let at = from; at < last; at++) {
		if (bytes[at] !== 0xff) continue;
		const next = bytes[at + 1] as number;
		if (next === 0 || next === 0xff || (next >= RST0 && next <= RST7)) continue;
		return at;
	}
	return bytes.length;
}

/**
 * Drops segments that are too short for their name as well: decoders stop at them or ignore them.
 */
function isKept(marker: number, body: Uint8Array): boolean {
	if (!isSkipped(marker)) return true;
	if (marker === APP0) return startsWith(body, "JFIF\0", 0) && body.length > 13;
	if (marker === APP2)
		return startsWith(body, "ICC_PROFILE\0", 0) && body.length > 14;
	return marker === APP14 && startsWith(body, "Adobe", 0) && body.length > 11;
}

function exifSegment(orientation: number): Uint8Array {
	const tiff = tiffOf(orientation);
	const segment = new Uint8Array(4 + EXIF.length + tiff.length);
	segment.set([0xff, APP1]);
	view(segment).setUint16(2, segment.length - 2);
	segment.set(
		[...EXIF].map((char) => char.charCodeAt(0)),
		4,
	);
	segment.set(tiff, 4 + EXIF.length);
	return segment;
}
