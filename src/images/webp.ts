/** Reads WebP (RFC 9649): a RIFF container whose header states the file's length. */
import { orientationOf, tiffOf } from "./exif.ts";
import {
	MAX_BLOCKS,
	Pieces,
	type ReadResult,
	type Size,
	startsWith,
	view,
} from "./format.ts";

/** Every chunk that the container defines, except EXIF and XMP. */
const KEPT = new Set(["VP8X", "VP8 ", "VP8L", "ALPH", "ANIM", "ANMF", "ICCP"]);
const ANIMATION_FLAG = 0x02;
const EXIF_FLAG = 0x08;
const XMP_FLAG = 0x04;
/**
 * All flags that are defined: these three, alpha and colour profile. Decoders stop if another one
 * is set.
 */
const FLAGS = 0x3e;
const FRAME_HEADER = 16;

interface Chunk {
	type: string;
	/** The offsets of its body in the file, and of the next chunk. */
	from: number;
	to: number;
	next: number;
}

export function readWebp(bytes: Uint8Array<ArrayBuffer>): ReadResult {
	const data = view(bytes);
	if (bytes.length < 12) return { state: "truncated", size: null };
	const end = 8 + data.getUint32(4, true);
	const pieces = new Pieces(bytes);
	let size: Size | null = null;
	/** Whether the file begins with VP8X, which then has the same offset in the copy. */
	let extended = false;
	const chunks: Chunk[] = [];
	let orientation = 1;
	let at = 12;
	pieces.keep(0, 12);
	for (let blocks = 0; at < end; blocks++) {
		if (blocks === MAX_BLOCKS) return { state: "malformed", size };
		if (at + 8 > bytes.length) return { state: "truncated", size };
		const chunk = chunkAt(bytes, at);
		const { type, from, to, next } = chunk;
		if (next > end) return { state: "malformed", size };
		if (type === "VP8X" && blocks > 0) return { state: "malformed", size };
		if (type === "VP8X" || (!size && (type === "VP8 " || type === "VP8L"))) {
			const header = frameSize(type, bytes.subarray(from, to));
			if (!header) {
				const state = from + 10 > bytes.length ? "truncated" : "malformed";
				return { state, size };
			}
			size = header;
		}
		if (next > bytes.length) return { state: "truncated", size };
		if (type === "EXIF") {
			const tiff = startsWith(bytes, "Exif\0\0", from) ? from + 6 : from;
			orientation = orientationOf(bytes.subarray(tiff, to));
		} else if (KEPT.has(type)) pieces.keep(at, next);
		extended ||= type === "VP8X";
		chunks.push(chunk);
		at = next;
	}
	if (bytes.length < end) return { state: "truncated", size };
	const isValid = extended
		? isValidExtended(bytes, chunks)
		: ["VP8 ", "VP8L"].includes(chunks[0]?.type ?? "");
	if (!size || !isValid) return { state: "malformed", size };
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

function chunkAt(bytes: Uint8Array, at: number): Chunk {
	const type = String.fromCharCode(...bytes.subarray(at, at + 4));
	const from = at + 8;
	const to = from + view(bytes).getUint32(at + 4, true);
	return { type, from, to, next: to + ((to - from) % 2) };
}

/**
 * Whether an extended file holds what its header announces: one picture of the canvas's size, or
 * frames within it.
 */
function isValidExtended(
	bytes: Uint8Array,
	[head, ...chunks]: Chunk[],
): boolean {
	if (!head) return false;
	const flags = bytes[head.from] as number;
	const canvas = frameSize("VP8X", bytes.subarray(head.from, head.to));
	if (!canvas || flags & ~FLAGS & 0xff) return false;
	if (!(flags & ANIMATION_FLAG)) {
		if (chunks.some(({ type }) => type === "ANIM" || type === "ANMF"))
			return false;
		const size = pictureOf(bytes, chunks);
		return size?.width === canvas.width && size.height === canvas.height;
	}
	const isControl = ({ type, from, to }: Chunk) =>
		type === "ANIM" && to - from >= 6;
	const [control, ...parts] = chunks.filter(
		({ type }) => type === "ANIM" || type === "ANMF" || isPicture(type),
	);
	if (!control || !isControl(control)) return false;
	const frames = parts.filter((each) => !isControl(each));
	return (
		frames.length > 0 &&
		frames.every((each) => each.type === "ANMF" && isFrame(bytes, each, canvas))
	);
}

const isPicture = (type: string): boolean =>
	type === "VP8 " || type === "VP8L" || type === "ALPH";

/**
 * Whether a frame of an animation is a picture within the canvas. Decoders ignore the size in the
 * frame's header.
 */
function isFrame(
	bytes: Uint8Array,
	{ from, to }: Chunk,
	canvas: Size,
): boolean {
	if (to - from < FRAME_HEADER) return false;
	const data = view(bytes);
	const x = 2 * (data.getUint32(from, true) & 0xffffff);
	const y = 2 * (data.getUint32(from + 3, true) & 0xffffff);
	const chunks: Chunk[] = [];
	for (let at = from + FRAME_HEADER; at + 8 <= to; ) {
		const chunk = chunkAt(bytes, at);
		if (chunk.next > to) return false;
		chunks.push(chunk);
		at = chunk.next;
	}
	const size = pictureOf(bytes, chunks);
	if (!size) return false;
	return x + size.width <= canvas.width && y + size.height <= canvas.height;
}

/**
 * The size of the one picture among these chunks. Null if there is none or a second one, or if an
 * alpha plane is invalid or does not directly precede the picture.
 */
function pictureOf(bytes: Uint8Array, chunks: Chunk[]): Size | null {
	const first = chunks.findIndex(({ type }) => isPicture(type));
	const last = chunks.findLastIndex(({ type }) => isPicture(type));
	const types = chunks.slice(first, last + 1).map(({ type }) => type);
	if (!["VP8 ", "VP8L", "ALPH,VP8 "].includes(types.join())) return null;
	const { type, from, to } = chunks[last] as Chunk;
	const size = frameSize(type, bytes.subarray(from, to));
	const [alpha] = chunks.slice(first, last);
	if (!size || !alpha) return size;
	return isAlpha(bytes.subarray(alpha.from, alpha.to), size) ? size : null;
}

/**
 * Whether an alpha plane has a valid header and, if it is not compressed, a byte for every pixel.
 */
function isAlpha(body: Uint8Array, { width, height }: Size): boolean {
	const [head = 0xff] = body;
	const method = head & 3;
	const preprocessing = (head >> 4) & 3;
	const reserved = (head >> 6) & 3;
	if (method > 1 || preprocessing > 1 || reserved > 0) return false;
	return body.length > 1 && (method > 0 || body.length - 1 >= width * height);
}

/**
 * The size of the canvas or the frame, from the first bytes of the chunk; null if they are missing
 * or invalid.
 */
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
			// The only version of the format is 0.
			if (bits >>> 29 !== 0) return null;
			return {
				width: 1 + (bits & 0x3fff),
				height: 1 + ((bits >>> 14) & 0x3fff),
			};
		}
		default: {
			if (body.length < 10 || !startsWith(body, "\x9d\x01\x2a", 3)) return null;
			const tag = data.getUint16(0, true) | ((body[2] as number) << 16);
			const isKeyFrame = (tag & 1) === 0;
			const isShown = ((tag >> 4) & 1) === 1;
			if (!isKeyFrame || !isShown || ((tag >> 1) & 7) > 3) return null;
			return {
				width: data.getUint16(6, true) & 0x3fff,
				height: data.getUint16(8, true) & 0x3fff,
			};
		}
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
