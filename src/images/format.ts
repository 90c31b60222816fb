/** What every reader of an image format answers, and how it puts a file together again without its private parts. */

export interface Size {
	width: number;
	height: number;
}

/**
 * `size` is known as soon as the header was read, so that an absurd one is refused for what it is even where the rest is
 * missing. `kept` is the file cut down to what decoding needs: no location, no comments, nothing after its end.
 */
export type Reading =
	| {
			state: "whole";
			size: Size;
			kept: Uint8Array<ArrayBuffer>;
			/** Whether the compressed pixels are all there, where that takes a while to find out. */
			decodes?: () => Promise<boolean>;
	  }
	| { state: "truncated" | "malformed"; size: Size | null };

/** Blocks of one file that are looked at. Real files have some hundreds; the bound keeps a hostile one cheap. */
export const MAX_BLOCKS = 65_536;

/** Ranges of a file, and a few new bytes between them, in order. */
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

	/** The source itself where all of it was kept. */
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

/** Whether these bytes stand there, as Latin-1. */
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
