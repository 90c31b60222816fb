/** JPEG (ITU-T T.81): markers from SOI to EOI. */
import { orientationOf, tiffOf } from "./exif.ts";
import {
	MAX_BLOCKS,
	Pieces,
	type Reading,
	type Size,
	startsWith,
	view,
} from "./format.ts";

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
const EXIF = "Exif\0\0";

/** Start of a frame: C0 to CF without the tables DHT (C4), JPG (C8) and DAC (CC). */
const isFrame = (marker: number): boolean =>
	marker >= 0xc0 &&
	marker <= 0xcf &&
	marker !== 0xc4 &&
	marker !== 0xc8 &&
	marker !== 0xcc;

/**
 * Keeps tables, frames, scans, JFIF, the colour profile and Adobe's colour transform. Other application segments and
 * comments go (EXIF, XMP, IPTC, maker data), and so does what follows the end: phones append whole second pictures and
 * films, each with a location of its own.
 */
export function readJpeg(bytes: Uint8Array<ArrayBuffer>): Reading {
	const pieces = new Pieces(bytes);
	let size: Size | null = null;
	let scans = 0;
	let oriented = false;
	let at = 2;
	pieces.keep(0, 2);
	for (let blocks = 0; blocks < MAX_BLOCKS; blocks++) {
		const start = at;
		if (at < bytes.length && bytes[at] !== 0xff)
			return { state: "malformed", size };
		while (bytes[at] === 0xff) at++;
		const marker = bytes[at++];
		if (marker === undefined) return { state: "truncated", size };
		if (marker === EOI) {
			if (!size || scans === 0) return { state: "malformed", size };
			pieces.keep(start, at);
			return { state: "whole", size, kept: pieces.build() };
		}
		if (marker === TEM || (marker >= RST0 && marker <= RST7)) continue;
		if (marker === SOI || marker === 0) return { state: "malformed", size };
		if (at + 2 > bytes.length) return { state: "truncated", size };
		const length = view(bytes).getUint16(at);
		const end = at + length;
		if (length < 2) return { state: "malformed", size };
		if (isFrame(marker)) {
			if (size) return { state: "malformed", size };
			if (length < 8) return { state: "malformed", size };
			if (at + 7 > bytes.length) return { state: "truncated", size };
			size = {
				height: view(bytes).getUint16(at + 3),
				width: view(bytes).getUint16(at + 5),
			};
		}
		if (end > bytes.length) return { state: "truncated", size };
		if (marker === SOS) {
			if (!size) return { state: "malformed", size };
			scans++;
			at = scanEnd(bytes, end);
			pieces.keep(start, at);
			continue;
		}
		if (marker === APP1 && startsWith(bytes, EXIF, at + 2) && !oriented) {
			const orientation = orientationOf(bytes.subarray(at + 8, end));
			if (orientation > 1) pieces.insert(exifSegment(orientation));
			oriented = true;
		} else if (isKept(bytes, marker, at + 2, end)) pieces.keep(start, end);
		at = end;
	}
	return { state: "malformed", size };
}

/** Where the entropy-coded data that starts here meets the next marker that is no restart, or the file's end. */
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

function isKept(
	bytes: Uint8Array,
	marker: number,
	from: number,
	to: number,
): boolean {
	if (marker < APP0) return true;
	// JPG0 to JPG13 and COM: extensions that no decoder reads, and comments.
	if (marker > APP15) return false;
	const segment = bytes.subarray(from, to);
	if (marker === APP0) return startsWith(segment, "JFIF\0", 0);
	if (marker === APP2) return startsWith(segment, "ICC_PROFILE\0", 0);
	return marker === APP14 && startsWith(segment, "Adobe", 0);
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
