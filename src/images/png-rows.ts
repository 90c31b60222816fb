/** Whether a PNG's compressed data holds the whole picture. Its rows are looked at as they come, and none is kept. */
import { createInflateRaw } from "node:zlib";
import type { Size } from "./format.ts";

export interface Layout extends Size {
	/** Of a pixel. */
	bits: number;
	/** By Adam7, in seven passes. */
	laced: boolean;
}

/** First column and row of each of Adam7's passes, and the steps to the next ones. */
const ADAM7 = [
	[0, 0, 8, 8],
	[4, 0, 8, 8],
	[0, 4, 4, 8],
	[2, 0, 4, 4],
	[0, 2, 2, 4],
	[1, 0, 2, 2],
	[0, 1, 1, 2],
] as const;
const FILTERS = 5;
const CHUNK = 64 * 1024;

/**
 * No sum after the last row counts, nor what comes beyond it: decoders stop there.
 * @param parts of the zlib stream, in order
 */
export function hasAllRows(
	parts: readonly Uint8Array<ArrayBuffer>[],
	layout: Layout,
): Promise<boolean> {
	const filled = parts.filter((part) => part.length > 0);
	if (!isZlib(filled)) return Promise.resolve(false);
	const isWhole = rows(layout);
	return new Promise((resolve) => {
		const inflate = createInflateRaw({ chunkSize: CHUNK });
		const done = (whole: boolean) => {
			inflate.destroy();
			resolve(whole);
		};
		inflate.on("data", (bytes: Uint8Array) => {
			const whole = isWhole(bytes);
			if (whole !== null) done(whole);
		});
		inflate.on("error", () => done(false));
		inflate.on("end", () => done(false));
		let head = 2;
		for (const part of filled) {
			const skipped = Math.min(head, part.length);
			head -= skipped;
			if (part.length > skipped) inflate.write(part.subarray(skipped));
		}
		inflate.end();
	});
}

/** By the two bytes that begin such a stream: deflate, without a dictionary. */
function isZlib(parts: readonly Uint8Array[]): boolean {
	const [first, second] = parts.flatMap((part) => [...part.subarray(0, 2)]);
	if (first === undefined || second === undefined) return false;
	const [method, window] = [first & 15, first >> 4];
	const fits = (first * 256 + second) % 31 === 0;
	return method === 8 && window < 8 && fits && (second & 0x20) === 0;
}

/** Takes the rows, each after the number of its filter; says whether they are whole once that is clear. */
function rows({
	width,
	height,
	bits,
	laced,
}: Layout): (bytes: Uint8Array) => boolean | null {
	const passes = (laced ? ADAM7 : [[0, 0, 1, 1] as const])
		.map(([x, y, dx, dy]) => ({
			bytes: Math.ceil((Math.ceil((width - x) / dx) * bits) / 8),
			rows: Math.ceil((height - y) / dy),
		}))
		.filter(({ bytes, rows }) => bytes > 0 && rows > 0);
	let pass = passes.shift();
	/** Bytes up to the next row. */
	let left = 0;
	return (bytes) => {
		for (let at = left; pass; at += 1 + pass.bytes) {
			if (at >= bytes.length) {
				left = at - bytes.length;
				return null;
			}
			if ((bytes[at] as number) >= FILTERS) return false;
			if (--pass.rows === 0) {
				const after = passes.shift();
				if (!after) {
					// The last row: nothing is left once its bytes are there.
					left = at + 1 + pass.bytes - bytes.length;
					pass = undefined;
					return left <= 0 ? true : null;
				}
				at += pass.bytes - after.bytes;
				pass = after;
			}
		}
		left -= bytes.length;
		return left <= 0 ? true : null;
	};
}
