/**
 * Checks that a PNG's compressed data holds the whole picture. It visits the rows as they inflate
 * and keeps none.
 */
import { createInflateRaw } from "node:zlib";
import type { Size } from "./format.ts";

export interface Layout extends Size {
	bitsPerPixel: number;
	/** By Adam7, in seven passes. */
	interlaced: boolean;
}

/** Each pass of Adam7: its first column and row, and the steps to the next ones. */
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
 * Ignores the checksum and any data after the last row, as decoders do.
 * @param parts the zlib stream, in order
 */
export function hasAllRows(
	parts: readonly Uint8Array<ArrayBuffer>[],
	layout: Layout,
): Promise<boolean> {
	const filled = parts.filter((part) => part.length > 0);
	if (!isZlib(filled)) return Promise.resolve(false);
	const isComplete = rowCheck(layout);
	return new Promise((resolve) => {
		const inflate = createInflateRaw({ chunkSize: CHUNK });
		const done = (complete: boolean) => {
			inflate.destroy();
			resolve(complete);
		};
		inflate.on("data", (bytes: Uint8Array) => {
			const complete = isComplete(bytes);
			if (complete !== null) done(complete);
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

/** Whether the first two bytes are a zlib header: deflate, without a dictionary. */
function isZlib(parts: readonly Uint8Array[]): boolean {
	const [first, second] = parts.flatMap((part) => [...part.subarray(0, 2)]);
	if (first === undefined || second === undefined) return false;
	const method = first & 15;
	const window = first >> 4;
	const checks = (first * 256 + second) % 31 === 0;
	return method === 8 && window < 8 && checks && (second & 0x20) === 0;
}

/**
 * A function that takes the inflated bytes piece by piece. It returns false at an invalid filter,
 * true once the last row is complete, and null before. Each row follows the number of its filter.
 */
function rowCheck({
	width,
	height,
	bitsPerPixel,
	interlaced,
}: Layout): (bytes: Uint8Array) => boolean | null {
	const passes = (interlaced ? ADAM7 : [[0, 0, 1, 1] as const])
		.map(([x, y, dx, dy]) => ({
			bytes: Math.ceil((Math.ceil((width - x) / dx) * bitsPerPixel) / 8),
			rows: Math.ceil((height - y) / dy),
		}))
		.filter(({ bytes, rows }) => bytes > 0 && rows > 0);
	let pass = passes.shift();
	/** Bytes to skip before the next row. */
	let left = 0;
	return (bytes) => {
		for (let at = left; pass; at += 1 + pass.bytes) {
			if (at >= bytes.length) {
				left = at - bytes.length;
				return null;
			}
			if ((bytes[at] as number) >= FILTERS) return false;
			if (--pass.rows === 0) {
				const nextPass = passes.shift();
				if (!nextPass) {
					// This is the last row: the picture is complete once all its bytes have come.
					left = at + 1 + pass.bytes - bytes.length;
					pass = undefined;
					return left <= 0 ? true : null;
				}
				at += pass.bytes - nextPass.bytes;
				pass = nextPass;
			}
		}
		left -= bytes.length;
		return left <= 0 ? true : null;
	};
}
