/** Reads PNG (W3C, third edition) and APNG: chunks from IHDR to IEND. */
import { crc32 } from "node:zlib";
import { orientationOf, tiffOf } from "./exif.ts";
import {
	MAX_BLOCKS,
	Pieces,
	type ReadResult,
	type Size,
	view,
} from "./format.ts";
import { hasAllRows, type Layout } from "./png-rows.ts";

const GREY = 0;
const RGB = 2;
const PALETTE = 3;
/** By colour type: the samples of a pixel, and the bit depths that a sample may have. */
const COLOURS: Record<number, { samples: number; depths: number[] }> = {
	[GREY]: { samples: 1, depths: [1, 2, 4, 8, 16] },
	[RGB]: { samples: 3, depths: [8, 16] },
	[PALETTE]: { samples: 1, depths: [1, 2, 4, 8] },
	4: { samples: 2, depths: [8, 16] },
	6: { samples: 4, depths: [8, 16] },
};
const CRITICAL = new Set(["IHDR", "PLTE", "IDAT", "IEND"]);

interface Chunk {
	type: string;
	/** Its offsets in the file. */
	start: number;
	end: number;
	body: Uint8Array<ArrayBuffer>;
	crcValid: boolean;
}

interface Header extends Layout {
	colour: number;
}

/**
 * Keeps the chunks that the picture needs: header, palette, transparency, pixels, a valid
 * animation, and of EXIF the orientation. Drops all others: decoders stop at some of them if a
 * length or a CRC is wrong, and the model ignores colour profiles. If an animation has a first
 * frame of its own, viewers show that and not the still picture, so the frame must be complete.
 */
export function readPng(bytes: Uint8Array<ArrayBuffer>): ReadResult {
	const { chunks, cut, size } = chunksOf(bytes);
	const malformed: ReadResult = { state: "malformed", size };
	const [first] = chunks;
	const header = first ? headerOf(first) : null;
	if (first && !header) return malformed;

	const data = chunks.findIndex(({ type }) => type === "IDAT");
	const preamble = data < 0 ? chunks : chunks.slice(0, data);
	const palettes = preamble.filter(({ type }) => type === "PLTE");
	if (!palettes.every(isPalette) || palettes.length > 1) return malformed;
	const palette = header?.colour === PALETTE ? palettes[0] : undefined;
	// Only the first run of IDAT chunks is the still picture.
	const still = until(
		chunks,
		data < 0 ? chunks.length : data,
		({ type }) => type !== "IDAT",
	);
	if (preamble.some(isMalformedFrame)) return malformed;
	const animation = preamble.find(isAnimationControl);
	const controls = animation ? frameControlsOf(chunks, data) : [];
	const control = controls.at(-1);
	const at = control ? chunks.indexOf(control) : -1;
	const frame = control && size && frameOf(control, size, at < data);
	if (frame === null) return malformed;
	const own = frame && !frame.isStill ? frameData(chunks, at + 1) : [];
	const numbers = [...controls, ...own].map(sequenceNumber);
	if (numbers.some((number, n) => number !== n)) return malformed;

	const pixels = animation && !frame?.isStill ? own : still;
	const last = pixels.at(-1);
	const shown = last ? chunks.indexOf(last) + 1 : chunks.length;
	if (chunks.slice(1, shown).some(isFatal)) return malformed;
	// The picture is complete once another chunk begins. Whatever follows may be missing or damaged.
	const isOver = shown < chunks.length || (cut && cut !== last?.type);
	if (!last || !isOver)
		return cut === null ? malformed : { state: "truncated", size };
	if (!header || !size || still.length === 0) return malformed;
	if (header.colour === PALETTE && !palette) return malformed;

	const transparency = preamble.find(
		(chunk, n) =>
			chunk.type === "tRNS" &&
			(!palette || n > preamble.indexOf(palette)) &&
			isTransparency(chunk, header.colour),
	);
	const exif = preamble.find(
		({ type, crcValid }) => type === "eXIf" && crcValid,
	);
	const orientation = exif ? orientationOf(exif.body) : 1;
	const kept = new Set([first, palette, transparency, animation, ...still]);
	const pieces = new Pieces(bytes);
	pieces.keep(0, 8);
	for (const chunk of chunks) {
		const { type, start, end, crcValid } = chunk;
		const animates = frame && (type === "fcTL" || type === "fdAT");
		if (chunk === exif && orientation > 1)
			pieces.insert(chunkOf("eXIf", tiffOf(orientation)));
		else if (kept.has(chunk) || (animates && crcValid)) pieces.keep(start, end);
		// Viewers ignore the CRC of these chunks, but other decoders may not.
		else if (animates) pieces.insert(chunkOf(type, chunk.body));
	}
	const end = chunks.at(-1) as Chunk;
	if (end.type === "IEND" && end.crcValid && end.body.length === 0)
		pieces.keep(end.start, end.end);
	else pieces.insert(chunkOf("IEND", new Uint8Array()));
	const parts = pixels.map(({ type, body }) =>
		type === "fdAT" ? body.subarray(4) : body,
	);
	return {
		state: "whole",
		size,
		kept: pieces.build(),
		decodes: () => hasAllRows(parts, { ...header, ...frame?.size }),
	};
}

/**
 * Splits a file into its whole chunks up to IEND. `cut` is the type of a truncated chunk after
 * them, "" if not even the type is there, and null after IEND. `size` comes from the header, even
 * if the rest of the file is missing.
 */
function chunksOf(bytes: Uint8Array<ArrayBuffer>): {
	chunks: Chunk[];
	cut: string | null;
	size: Size | null;
} {
	const data = view(bytes);
	const chunks: Chunk[] = [];
	let size: Size | null = null;
	let at = 8;
	while (at + 8 <= bytes.length) {
		if (chunks.length === MAX_BLOCKS) return { chunks, cut: null, size };
		const start = at;
		const from = at + 8;
		const type = String.fromCharCode(...bytes.subarray(at + 4, from));
		const to = from + data.getUint32(at);
		at = to + 4;
		if (chunks.length === 0 && from + 8 <= bytes.length && type === "IHDR")
			size = { width: data.getUint32(from), height: data.getUint32(from + 4) };
		if (at > bytes.length) return { chunks, cut: type, size };
		const crc = crc32(bytes.subarray(start + 4, to));
		const crcValid = crc === data.getUint32(to);
		const body = bytes.subarray(from, to);
		chunks.push({ type, start, end: at, body, crcValid });
		if (type === "IEND") return { chunks, cut: null, size };
	}
	return { chunks, cut: "", size };
}

/**
 * Whether a decoder stops at this chunk, which follows the header: a critical one (its type begins
 * with a capital letter) that is unknown, repeated or damaged.
 */
const isFatal = ({ type, crcValid }: Chunk): boolean =>
	(type.charCodeAt(0) & 0x20) === 0 &&
	(!CRITICAL.has(type) || type === "IHDR" || (!crcValid && type !== "IEND"));

/** Null for a header that is invalid in PNG. */
function headerOf({ type, body, crcValid }: Chunk): Header | null {
	if (type !== "IHDR" || body.length !== 13 || !crcValid) return null;
	const data = view(body);
	const [depth = 0, colour = -1, compression, filter, interlace = 2] =
		body.subarray(8);
	const kind = COLOURS[colour];
	if (!kind?.depths.includes(depth)) return null;
	if (compression !== 0 || filter !== 0 || interlace > 1) return null;
	return {
		width: data.getUint32(0),
		height: data.getUint32(4),
		bitsPerPixel: kind.samples * depth,
		interlaced: interlace === 1,
		colour,
	};
}

const isPalette = ({ body }: Chunk): boolean =>
	body.length >= 3 && body.length <= 768;

/** The chunks from index `from` up to the first for which `ends` is true. */
function until(
	chunks: Chunk[],
	from: number,
	ends: (chunk: Chunk) => boolean,
): Chunk[] {
	const rest = chunks.slice(from);
	const length = rest.findIndex(ends);
	return length < 0 ? rest : rest.slice(0, length);
}

/** An invalid chunk of an animation. Viewers stop at one before the pixels. */
const isMalformedFrame = ({ type, body, crcValid }: Chunk): boolean =>
	(type === "fcTL" && body.length !== 26) ||
	(type === "fdAT" && (!crcValid || body.length < 4));

/**
 * The frame controls up to that of the first frame with pixels, which comes last. If there are any
 * before the still picture, whose chunks begin at `data`, the still picture is that frame.
 */
function frameControlsOf(chunks: Chunk[], data: number): Chunk[] {
	const isControl = ({ type }: Chunk) => type === "fcTL";
	const before = chunks.slice(0, Math.max(data, 0)).filter(isControl);
	if (before.length > 0) return before;
	return until(chunks, 0, ({ type }) => type === "fdAT").filter(isControl);
}

/** The data chunks of the frame whose control precedes the chunk at `from`. */
const frameData = (chunks: Chunk[], from: number): Chunk[] =>
	until(chunks, from, ({ type }) => type === "fcTL").filter(
		({ type }) => type === "fdAT",
	);

/** Whether this chunk makes the file an animation. */
const isAnimationControl = ({ type, body, crcValid }: Chunk): boolean =>
	type === "acTL" &&
	crcValid &&
	body.length === 8 &&
	view(body).getUint32(0) > 0;

/** The first frame, by its control; null if no viewer draws it. */
function frameOf(
	{ body, crcValid }: Chunk,
	canvas: Size,
	isStill: boolean,
): { size: Size; isStill: boolean } | null {
	if (!crcValid || body.length !== 26) return null;
	const data = view(body);
	const width = data.getUint32(4);
	const height = data.getUint32(8);
	const x = data.getUint32(12);
	const y = data.getUint32(16);
	const [disposal = 3, blending = 2] = body.subarray(24);
	if (disposal > 2 || blending > 1) return null;
	if (width === 0 || height === 0) return null;
	if (x + width > canvas.width || y + height > canvas.height) return null;
	const full = width === canvas.width && height === canvas.height;
	return isStill && !full ? null : { size: { width, height }, isStill };
}

/** The sequence number of a frame's chunk; -1 if it has none. */
const sequenceNumber = ({ body }: Chunk): number =>
	body.length < 4 ? -1 : view(body).getUint32(0);

/** Whether a tRNS chunk is valid for this colour type; decoders ignore others. */
function isTransparency({ body, crcValid }: Chunk, colour: number): boolean {
	if (colour === PALETTE) return crcValid && body.length > 0;
	const length = colour === GREY ? 2 : colour === RGB ? 6 : -1;
	return crcValid && body.length === length;
}

function chunkOf(type: string, body: Uint8Array): Uint8Array {
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
