/** GIF87a and GIF89a: blocks from the screen's header to the trailer. */
import {
	MAX_BLOCKS,
	Pieces,
	type Reading,
	type Size,
	startsWith,
	view,
} from "./format.ts";

const EXTENSION = 0x21;
const IMAGE = 0x2c;
const TRAILER = 0x3b;
const COMMENT = 0xfe;
const APPLICATION = 0xff;
/** Loops and the colour profile. XMP is one of the others. */
const KEPT_APPLICATIONS = ["NETSCAPE2.0", "ANIMEXTS1.0", "ICCRGBG1012"];

export function readGif(bytes: Uint8Array<ArrayBuffer>): Reading {
	if (bytes.length < 13) return { state: "truncated", size: null };
	const data = view(bytes);
	const size: Size = {
		width: data.getUint16(6, true),
		height: data.getUint16(8, true),
	};
	const pieces = new Pieces(bytes);
	let hasImage = false;
	let at = 13 + colourTable(bytes[10] as number);
	pieces.keep(0, at);
	for (let blocks = 0; blocks < MAX_BLOCKS; blocks++) {
		const start = at;
		const kind = bytes[at++];
		if (kind === undefined) return { state: "truncated", size };
		if (kind === TRAILER) {
			if (!hasImage) return { state: "malformed", size };
			pieces.keep(start, at);
			return { state: "whole", size, kept: pieces.build() };
		}
		let keep = true;
		if (kind === IMAGE) {
			if (at + 9 > bytes.length) return { state: "truncated", size };
			// A frame may reach over the screen's edge; decoders make room for it.
			const right = data.getUint16(at, true) + data.getUint16(at + 4, true);
			const bottom =
				data.getUint16(at + 2, true) + data.getUint16(at + 6, true);
			size.width = Math.max(size.width, right);
			size.height = Math.max(size.height, bottom);
			at += 9 + colourTable(bytes[at + 8] as number) + 1;
			hasImage = true;
		} else if (kind === EXTENSION) {
			const label = bytes[at++];
			keep =
				label !== COMMENT &&
				(label !== APPLICATION ||
					KEPT_APPLICATIONS.some((name) => startsWith(bytes, name, at + 1)));
		} else return { state: "malformed", size };
		for (let length = bytes[at++]; length !== 0; length = bytes[at++]) {
			if (length === undefined) return { state: "truncated", size };
			at += length;
		}
		if (keep) pieces.keep(start, at);
	}
	return { state: "malformed", size };
}

/** Bytes of the colour table that these flags announce. */
const colourTable = (flags: number): number =>
	flags & 0x80 ? 3 * 2 ** ((flags & 7) + 1) : 0;
