/**
 * What the readers of all image formats share: the result of a read, and the copy of a file without
 * its private parts.
 */
import type { ImageType } from "../schema/image.ts";

export interface Size {
	width: number;
	height: number;
}

/**
 * `size` is set once the header has been read, so that an impossible size is reported as such even
 * if the rest of the file is missing. `kept` is the file reduced to what a decoder needs: no
 * location, no comments, no trailing bytes.
 */
export type ReadResult =
	| {
			state: "whole";
			size: Size;
			kept: Uint8Array<ArrayBuffer>;
			/**
			 * Checks that the compressed pixels are complete, in formats where that takes a full
			 * decompression.
			 */
			decodes?: () => Promise<boolean>;
	  }
	| { state: "truncated" | "malformed"; size: Size | null };

/**
 * The most blocks that a reader visits. Real files have some hundreds; the limit bounds the cost of
 * a hostile one.
 */
export const MAX_BLOCKS = 65_536;

/** Collects, in order, ranges of a file to keep and new bytes to insert between them. */
export class Pieces {
	readonly #source: Uint8Array<ArrayBuffer>;
	readonly #parts: Uint8Array[] = [];
	#from = 0;
	#to = 0;

	constructor(source: Uint8Array<ArrayBuffer>) {
		this.#source = source;
	}

	keep(from: number, to: number): void {
		if (from !== this.#to) {
			this.#flush();
			this.#from = from;
		}
		this.#to = to;
	}

	insert(bytes: Uint8Array): void {
		this.#flush();
		this.#parts.push(bytes);
		this.#from = this.#to;
	}

	/** The copy, or the source itself if all of it is kept. */
	build(): Uint8Array<ArrayBuffer> {
		this.#flush();
		const size = this.#parts.reduce((sum, part) => sum + part.length, 0);
		if (this.#parts.length === 1 && size === this.#source.length)
			return this.#source;
		const whole = new Uint8Array(size);
		let at = 0;
		for (const part of this.#parts) {
			whole.set(part, at);
			at += part.length;
		}
		return whole;
	}

	#flush(): void {
		if (this.#to > this.#from)
			this.#parts.push(this.#source.subarray(this.#from, this.#to));
		this.#from = this.#to;
	}
}

export const view = (bytes: Uint8Array): DataView =>
	new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Whether the bytes from `at` on are this Latin-1 text. */
export function startsWith(
	bytes: Uint8Array,
	text: string,
	at: number,
): boolean {
	if (at + text.length > bytes.length) return false;
	for (let n = 0; n < text.length; n++)
		if (bytes[at + n] !== text.charCodeAt(n)) return false;
	return true;
}

/**
 * The image type by the file's first bytes, whatever type its sender declared; null if it is none
 * of ours.
 */
export function sniff(bytes: Uint8Array): ImageType | null {
	if (startsWith(bytes, "\xff\xd8\xff", 0)) return "image/jpeg";
	if (startsWith(bytes, "\x89PNG\r\n\x1a\n", 0)) return "image/png";
	if (startsWith(bytes, "RIFF", 0) && startsWith(bytes, "WEBP", 8))
		return "image/webp";
	if (startsWith(bytes, "GIF87a", 0) || startsWith(bytes, "GIF89a", 0))
		return "image/gif";
	return null;
}
