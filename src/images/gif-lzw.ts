/** Whether a GIF's compressed data holds all pixels of a frame. They are counted; none is made. */

const MAX_CODES = 4096;
/** Bits of a symbol; a picture of two colours has two as well. */
const NARROWEST = 2;
const WIDEST = 8;

/**
 * @param at the first block of data; the byte before it says how wide a symbol is
 * @param pixels of the frame; more are no fault
 */
export function hasAllPixels(
	bytes: Uint8Array,
	at: number,
	pixels: number,
): boolean {
	const symbol = bytes[at - 1] as number;
	if (pixels === 0 || symbol < NARROWEST || symbol > WIDEST) return false;
	const clear = 1 << symbol;
	/** How many pixels each code stands for. */
	const lengths = new Uint32Array(MAX_CODES);
	lengths.fill(1, 0, clear);
	let next = clear + 2;
	let width = symbol + 1;
	let previous = -1;
	let [held, bits, count] = [0, 0, 0];
	let left = 0;
	for (;;) {
		while (bits < width) {
			if (left === 0) {
				left = bytes[at++] ?? 0;
				if (left === 0) return false;
			}
			held |= (bytes[at++] as number) << bits;
			bits += 8;
			left--;
		}
		const code = held & ((1 << width) - 1);
		held >>>= width;
		bits -= width;
		if (code === clear) {
			next = clear + 2;
			width = symbol + 1;
			previous = -1;
			continue;
		}
		if (code === clear + 1) return false;
		if (code > next || (code === next && previous < 0)) return false;
		if (previous >= 0 && next < MAX_CODES) {
			// A new code: the previous one, and the first pixel of this one.
			lengths[next] = (lengths[previous] as number) + 1;
			next++;
			if (next === 1 << width && width < 12) width++;
		} else if (code >= next) return false;
		count += lengths[code] as number;
		if (count >= pixels) return true;
		previous = code;
	}
}
