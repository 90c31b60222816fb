/** GIF87a and GIF89a: blocks from the screen's header to the trailer. */
import {
	MAX_BLOCKS,
	Pieces,
	type Reading,
	type Size,
	startsWith,
	view,
} from "./format.ts";
import { hasAllPixels } from "./gif-lzw.ts";

const EXTENSION = 0x21;
const IMAGE = 0x2c;
const TRAILER = 0x3b;
const CONTROL = 0xf9;
const APPLICATION = 0xff;
/** Loops and the colour profile. XMP is one of the others; some decoders lose their way in unknown ones. */
const KEPT_APPLICATIONS = ["NETSCAPE2.0", "ANIMEXTS1.0", "ICCRGBG1012"];

/**
 * The first frame must be whole, and nothing but blocks may stand before it. After it decoders forgive everything:
 * what is no block there, or is cut, ends the file.
 */
export function readGif(bytes: Uint8Array<ArrayBuffer>): Reading {
	if (bytes.length < 13) return { state: "truncated", size: null };
	const data = view(bytes);
	const size: Size = {
		width: data.getUint16(6, true),
		height: data.getUint16(8, true),
	};
	const pieces = new Pieces(bytes);
	let first: Size | null = null;
	/** Of those before a frame the last one counts; some decoders take the first one's colour. */
	let control: [start: number, end: number] | null = null;
	let at = 13 + colourTable(bytes[10] as number);
	pieces.keep(0, at);
	const done = (): Reading => {
		pieces.insert(Uint8Array.of(TRAILER));
		return { state: "whole", size, kept: pieces.build() };
	};
	const stopped = (state: "truncated" | "malformed"): Reading =>
		first ? done() : { state, size };
	for (let blocks = 0; blocks < MAX_BLOCKS; blocks++) {
		const start = at;
		const kind = bytes[at++];
		if (kind === undefined) return stopped("truncated");
		// Some encoders end a frame's data more than once.
		if (kind === 0 && first) continue;
		let keep = true;
		let frame: Size | null = null;
		if (kind === TRAILER && first) {
			pieces.keep(start, at);
			return { state: "whole", size, kept: pieces.build() };
		}
		if (kind === IMAGE) {
			if (at + 9 > bytes.length) return stopped("truncated");
			const [left, top, width, height] = [0, 2, 4, 6].map((n) =>
				data.getUint16(at + n, true),
			) as [number, number, number, number];
			if (!first) {
				// It may reach over the screen's edge; decoders make room for it.
				size.width = Math.max(size.width, left + width);
				size.height = Math.max(size.height, top + height);
			}
			frame = { width, height };
			at += 9 + colourTable(bytes[at + 8] as number) + 1;
		} else if (kind === EXTENSION) {
			const label = bytes[at++];
			const length = bytes[at];
			if (label === CONTROL) {
				if (at + 6 > bytes.length) return stopped("truncated");
				// One block of four bytes, and no other.
				if (length !== 4 || bytes[at + 5] !== 0) return stopped("malformed");
				control = [start, at + 6];
			}
			keep =
				label === APPLICATION &&
				length === 11 &&
				KEPT_APPLICATIONS.some((name) => startsWith(bytes, name, at + 1));
		} else return stopped("malformed");
		// A name alone: decoders take what follows it for its data.
		if (keep && bytes[at + 12] === 0) return stopped("malformed");
		const from = at;
		for (let length = bytes[at++]; length !== 0; length = bytes[at++]) {
			if (length === undefined) return stopped("truncated");
			at += length;
		}
		if (frame && control) pieces.keep(...control);
		if (frame) control = null;
		if (keep) pieces.keep(start, at);
		if (!frame || first) continue;
		first = frame;
		const pixels = frame.width * frame.height;
		if (!hasAllPixels(bytes, from, pixels)) return { state: "malformed", size };
	}
	return stopped("malformed");
}

/** Bytes of the colour table that these flags announce. */
const colourTable = (flags: number): number =>
	flags & 0x80 ? 3 * 2 ** ((flags & 7) + 1) : 0;
