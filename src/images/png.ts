/** PNG (W3C, third edition) and APNG: chunks from IHDR to IEND. */
import { crc32 } from "node:zlib";
import { orientationOf, tiffOf } from "./exif.ts";
import { MAX_BLOCKS, Pieces, type Reading, type Size, view } from "./format.ts";
import { hasAllRows, type Layout } from "./png-rows.ts";

const GREY = 0;
const RGB = 2;
const PALETTE = 3;
/** Samples of a pixel, and bits that a sample may have, by colour type. */
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
	/** Where it begins and ends in the file. */
	start: number;
	end: number;
	body: Uint8Array<ArrayBuffer>;
	/** Whether its sum is right. */
	sound: boolean;
}

interface Header extends Layout {
	colour: number;
}

/**
 * Keeps the chunks that the picture needs: header, palette, transparency, pixels, a sound animation, and of EXIF the
 * orientation. Decoders stop at others where a length or a sum is wrong, and the model sees no colour profile anyway.
 * Where an animation begins with a frame of its own, that and not the still picture beside it is what a viewer shows.
 */
export function readPng(bytes: Uint8Array<ArrayBuffer>): Reading {
	const { chunks, cut, size } = chunksOf(bytes);
	const malformed: Reading = { state: "malformed", size };
	const [first] = chunks;
	const header = first ? headerOf(first) : null;
	if (first && !header) return malformed;

	const data = chunks.findIndex(({ type }) => type === "IDAT");
	const preamble = data < 0 ? chunks : chunks.slice(0, data);
	const palettes = preamble.filter(({ type }) => type === "PLTE");
	if (!palettes.every(isPalette) || palettes.length > 1) return malformed;
	const palette = header?.colour === PALETTE ? palettes[0] : undefined;
	// Only a first run of them is the picture.
	const still = until(
		chunks,
		data < 0 ? chunks.length : data,
		({ type }) => type !== "IDAT",
	);
	if (preamble.some(isStray)) return malformed;
	const control = preamble.find(isControl);
	const heads = control ? headsOf(chunks, data) : [];
	const [head] = heads.slice(-1);
	const at = head ? chunks.indexOf(head) : -1;
	const frame = head && size && frameOf(head, size, at < data);
	if (frame === null) return malformed;
	const own = frame && !frame.isStill ? frameData(chunks, at + 1) : [];
	if ([...heads, ...own].some((chunk, n) => numberOf(chunk) !== n))
		return malformed;

	const pixels = control ? (frame?.isStill ? still : own) : still;
	const last = pixels.at(-1);
	const shown = last ? chunks.indexOf(last) + 1 : chunks.length;
	if (chunks.slice(1, shown).some(isWrong)) return malformed;
	// Once another chunk begins, the picture is over; of the rest anything may be missing or wrong.
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
	const exif = preamble.find(({ type, sound }) => type === "eXIf" && sound);
	const orientation = exif ? orientationOf(exif.body) : 1;
	const kept = new Set([first, palette, transparency, control, ...still]);
	const pieces = new Pieces(bytes);
	pieces.keep(0, 8);
	for (const chunk of chunks) {
		const { type, start, end, sound } = chunk;
		const animates = frame && (type === "fcTL" || type === "fdAT");
		if (chunk === exif && orientation > 1)
			pieces.insert(chunkOf("eXIf", tiffOf(orientation)));
		else if (kept.has(chunk) || (animates && sound)) pieces.keep(start, end);
		// Viewers do not look at this sum, others may.
		else if (animates) pieces.insert(chunkOf(type, chunk.body));
	}
	const end = chunks.at(-1) as Chunk;
	if (end.type === "IEND" && end.sound && end.body.length === 0)
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
 * The whole chunks up to IEND; the type of one that is cut then, "" where not even that is there, null after IEND; and
 * what the header says, even where the rest is missing.
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
		const [start, from] = [at, at + 8];
		const type = String.fromCharCode(...bytes.subarray(at + 4, from));
		const to = from + data.getUint32(at);
		at = to + 4;
		if (chunks.length === 0 && from + 8 <= bytes.length && type === "IHDR")
			size = { width: data.getUint32(from), height: data.getUint32(from + 4) };
		if (at > bytes.length) return { chunks, cut: type, size };
		const sum = crc32(bytes.subarray(start + 4, to));
		const sound = sum === data.getUint32(to);
		const body = bytes.subarray(from, to);
		chunks.push({ type, start, end: at, body, sound });
		if (type === "IEND") return { chunks, cut: null, size };
	}
	return { chunks, cut: "", size };
}

/** After the header. Its first letter is a capital: a decoder that does not know it, or finds it damaged, must stop. */
const isWrong = ({ type, sound }: Chunk): boolean =>
	(type.charCodeAt(0) & 0x20) === 0 &&
	(!CRITICAL.has(type) || type === "IHDR" || (!sound && type !== "IEND"));

/** Null for what PNG does not have. */
function headerOf({ type, body, sound }: Chunk): Header | null {
	if (type !== "IHDR" || body.length !== 13 || !sound) return null;
	const data = view(body);
	const [depth = 0, colour = -1, compression, filter, laced = 2] =
		body.subarray(8);
	const kind = COLOURS[colour];
	if (!kind?.depths.includes(depth)) return null;
	if (compression !== 0 || filter !== 0 || laced > 1) return null;
	return {
		width: data.getUint32(0),
		height: data.getUint32(4),
		bits: kind.samples * depth,
		laced: laced === 1,
		colour,
	};
}

const isPalette = ({ body }: Chunk): boolean =>
	body.length >= 3 && body.length <= 768;

/** The chunks from there on up to the first that `ends` them. */
function until(
	chunks: Chunk[],
	from: number,
	ends: (chunk: Chunk) => boolean,
): Chunk[] {
	const rest = chunks.slice(from);
	const length = rest.findIndex(ends);
	return length < 0 ? rest : rest.slice(0, length);
}

/** Before the pixels no viewer passes these over. */
const isStray = ({ type, body, sound }: Chunk): boolean =>
	(type === "fcTL" && body.length !== 26) ||
	(type === "fdAT" && (!sound || body.length < 4));

/**
 * The heads of frames up to the first one that has pixels, which is the last of them. Before the still picture (its
 * chunks begin at `data`) there may be several; then this is the first frame.
 */
function headsOf(chunks: Chunk[], data: number): Chunk[] {
	const isHead = ({ type }: Chunk) => type === "fcTL";
	const before = chunks.slice(0, Math.max(data, 0)).filter(isHead);
	if (before.length > 0) return before;
	return until(chunks, 0, ({ type }) => type === "fdAT").filter(isHead);
}

/** The data of the frame that begins before this chunk. */
const frameData = (chunks: Chunk[], from: number): Chunk[] =>
	until(chunks, from, ({ type }) => type === "fcTL").filter(
		({ type }) => type === "fdAT",
	);

/** Says that the file is an animation; otherwise it is a still picture. */
const isControl = ({ type, body, sound }: Chunk): boolean =>
	type === "acTL" && sound && body.length === 8 && view(body).getUint32(0) > 0;

/** Null for a first frame that no viewer draws. */
function frameOf(
	{ body, sound }: Chunk,
	canvas: Size,
	isStill: boolean,
): { size: Size; isStill: boolean } | null {
	if (!sound || body.length !== 26) return null;
	const [width, height, x, y] = [4, 8, 12, 16].map((at) =>
		view(body).getUint32(at),
	) as [number, number, number, number];
	const [disposal = 3, blending = 2] = body.subarray(24);
	if (disposal > 2 || blending > 1) return null;
	if (width === 0 || height === 0) return null;
	if (x + width > canvas.width || y + height > canvas.height) return null;
	const full = width === canvas.width && height === canvas.height;
	return isStill && !full ? null : { size: { width, height }, isStill };
}

const numberOf = ({ body }: Chunk): number =>
	body.length < 4 ? -1 : view(body).getUint32(0);

/** Whether it says something that a decoder heeds. */
function isTransparency({ body, sound }: Chunk, colour: number): boolean {
	if (colour === PALETTE) return sound && body.length > 0;
	const length = colour === GREY ? 2 : colour === RGB ? 6 : -1;
	return sound && body.length === length;
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
