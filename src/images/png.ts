/** PNG (W3C, third edition) and APNG: chunks from IHDR to IEND. */
import { orientationOf, tiffOf } from "./exif.ts";
import { MAX_BLOCKS, Pieces, type Reading, type Size, view } from "./format.ts";

/** Beside the chunks that a decoder must know: colour, transparency, pixel shape, animation. Texts and times are not here. */
const KEPT = new Set([
	...["cHRM", "cICP", "gAMA", "iCCP", "mDCV", "cLLI", "sBIT", "sRGB"],
	...["bKGD", "hIST", "tRNS", "pHYs", "sPLT", "acTL", "fcTL", "fdAT"],
]);

export function readPng(bytes: Uint8Array<ArrayBuffer>): Reading {
	const pieces = new Pieces(bytes);
	const data = view(bytes);
	let size: Size | null = null;
	let hasData = false;
	let at = 8;
	pieces.keep(0, 8);
	for (let blocks = 0; blocks < MAX_BLOCKS; blocks++) {
		if (at + 8 > bytes.length) return { state: "truncated", size };
		const length = data.getUint32(at);
		const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
		if (length > 0x7fffffff || !/^[A-Za-z]{4}$/.test(type))
			return { state: "malformed", size };
		const body = at + 8;
		const end = body + length + 4;
		if (blocks === 0) {
			if (type !== "IHDR" || length !== 13) return { state: "malformed", size };
			if (body + 8 > bytes.length) return { state: "truncated", size };
			size = { width: data.getUint32(body), height: data.getUint32(body + 4) };
		} else if (type === "IHDR") return { state: "malformed", size };
		if (end > bytes.length) return { state: "truncated", size };
		if (type === "eXIf") {
			const orientation = orientationOf(bytes.subarray(body, body + length));
			if (orientation > 1) pieces.insert(chunk("eXIf", tiffOf(orientation)));
		} else if (isCritical(type) || KEPT.has(type)) pieces.keep(at, end);
		if (type === "IDAT") hasData = true;
		at = end;
		if (type !== "IEND") continue;
		if (!size || !hasData) return { state: "malformed", size };
		return { state: "whole", size, kept: pieces.build() };
	}
	return { state: "malformed", size };
}

/** Its first letter is a capital: a decoder that does not know it must stop. */
const isCritical = (type: string): boolean => type.charCodeAt(0) < 0x60;

function chunk(type: string, body: Uint8Array): Uint8Array {
	const bytes = new Uint8Array(12 + body.length);
	view(bytes).setUint32(0, body.length);
	bytes.set(
		[...type].map((char) => char.charCodeAt(0)),
		4,
	);
	bytes.set(body, 8);
	view(bytes).setUint32(8 + body.length, crc32(bytes.subarray(4, -4)));
	return bytes;
}

/** CRC-32 as in ISO 3309, over a few dozen bytes: no table needed. */
function crc32(bytes: Uint8Array): number {
	let crc = 0xffffffff;
	for (const byte of bytes) {
		crc ^= byte;
		for (let bit = 0; bit < 8; bit++)
			crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
	}
	return (crc ^ 0xffffffff) >>> 0;
}
