/** Reads GIF87a and GIF89a: blocks from the screen descriptor to the trailer. */
import {
	MAX_BLOCKS,
	Pieces,
	type ReadResult,
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
/**
 * Loop counts and the colour profile. XMP goes, and so do unknown extensions, on which some
 * decoders fail.
 */
const KEPT_APPLICATIONS = ["NETSCAPE2.0", "ANIMEXTS1.0", "ICCRGBG1012"];

/**
 * The first frame must be complete, and only blocks may precede it. After it decoders forgive any
 * damage, so the file ends where the next bytes are not a whole block.
 */
export function readGif(bytes: Uint8Array<ArrayBuffer>): ReadResult {
	if (bytes.length < 13) return { state: "truncated", size: null };
	const data = view(bytes);
	const size: Size = {
		width: data.getUint16(6, true),
		height: data.getUint16(8, true),
	};
	const pieces = new Pieces(bytes);
	let first: Size | null = null;
	/**
	 * The last graphic control before a frame, which alone is kept: some decoders would use an
	 * earlier one's colour.
	 */
	let control: [start: number, end: number] | null = null;
	let at = 13 + colourTable(bytes[10] as number);
	pieces.keep(0, at);
	const done = (): ReadResult => {
		pieces.insert(Uint8Array.of(TRAILER));
		return { state: "whole", size, kept: pieces.build() };
	};
	const stopped = (state: "truncated" | "malformed"): ReadResult =>
		first ? done() : { state, size };
	for (let blocks = 0; blocks < MAX_BLOCKS; blocks++) {
		const start = at;
		const kind = bytes[at++];
		if (kind === undefined) return stopped("truncated");
		// Some encoders write more than one terminator after a frame's data.
		if (kind === 0 && first) continue;
		let keep = true;
		let frame: Size | null = null;
		if (kind === TRAILER && first) {
			pieces.keep(start, at);
			return { state: "whole", size, kept: pieces.build() };
		}
		if (kind === IMAGE) {
			if (at + 9 > bytes.length) return stopped("truncated");
			const left = data.getUint16(at, true);
			const top = data.getUint16(at + 2, true);
			const width = data.getUint16(at + 4, true);
			const height = data.getUint16(at + 6, true);
			if (!first) {
				// Decoders enlarge the screen for a first frame that reaches over its edge.
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
				// A graphic control has exactly one block, of four bytes.
				if (length !== 4 || bytes[at + 5] !== 0) return stopped("malformed");
				control = [start, at + 6];
			}
			keep =
				label === APPLICATION &&
				length === 11 &&
				KEPT_APPLICATIONS.some((name) => startsWith(bytes, name, at + 1));
		} else return stopped("malformed");
		// Of an extension without data, decoders would read the following block as its data.
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

/** The size in bytes of the colour table that these flags announce. */
const colourTable = (flags: number): number =>
	flags & 0x80 ? 3 * 2 ** ((flags & 7) + 1) : 0;
