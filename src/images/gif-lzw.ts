/** Checks that a GIF's LZW data holds all pixels of a frame. It counts pixels and decodes none. */

const MAX_CODES = 4096;
/** Bits of a symbol. A picture of two colours uses two bits, not one. */
const MIN_SYMBOL_BITS = 2;
const MAX_SYMBOL_BITS = 8;

/**
 * @param at the offset of the first data block; the byte before it is the width of a symbol
 * @param pixels the frame's pixels; surplus data is valid
 */
export function hasAllPixels(
	bytes: Uint8Array,
	at: number,
	pixels: number,
): boolean {
	const symbol = bytes[at - 1] as number;
	if (pixels === 0 || symbol < MIN_SYMBOL_BITS || symbol > MAX_SYMBOL_BITS)
		return false;
	const clear = 1 << symbol;
	/** The number of pixels that each code stands for. */
	const lengths = new Uint32Array(MAX_CODES);
	lengths.fill(1, 0, clear);
	let next = clear + 2;
	let width = symbol + 1;
	let previous = -1;
	let buffer = 0;
	let bufferedBits = 0;
	let count = 0;
	/** Bytes up to the end of the current block. */
	let left = 0;
	for (;;) {
		while (bufferedBits < width) {
			if (left === 0) {
				left = bytes[at++] ?? 0;
				if (left === 0) return false;
			}
			buffer |= (bytes[at++] as number) << bufferedBits;
			bufferedBits += 8;
			left--;
		}
		const code = buffer & ((1 << width) - 1);
		buffer >>>= width;
		bufferedBits -= width;
		if (code === clear) {
			next = clear + 2;
			width = symbol + 1;
			previous = -1;
			continue;
		}
		if (code === clear + 1) return false;
		if (code > next || (code === next && previous < 0)) return false;
		if (previous >= 0 && next < MAX_CODES) {
			// The new code is the previous one followed by the first pixel of this one.
			lengths[next] = (lengths[previous] as number) + 1;
			next++;
			if (next === 1 << width && width < 12) width++;
		} else if (code >= next) return false;
		count += lengths[code] as number;
		if (count >= pixels) return true;
		previous = code;
	}
}
