/**
 * Checks the tables and headers that a JPEG decoder needs before each scan. libjpeg tolerates
 * damaged pixels but stops at any error here, so it decodes every file that passes.
 */

const DHT = 0xc4;
const DAC = 0xcc;
const SOS = 0xda;
const DQT = 0xdb;
const DRI = 0xdd;
const SEQUENTIAL = [0xc0, 0xc1, 0xc9];
const PROGRESSIVE = [0xc2, 0xca];
/** Frames with arithmetic coding, which uses no Huffman tables. */
const ARITHMETIC = [0xc9, 0xca];
/** The most blocks, over all components, in one MCU (minimum coded unit). */
const MAX_MCU_BLOCKS = 10;

interface Component {
	id: number;
	blocks: number;
	quantization: number;
}

export class Tables {
	readonly #quantizations = new Set<number>();
	/**
	 * Whether each table is valid, by its class (0 DC, 1 AC) in the high and its number in the low
	 * four bits.
	 */
	readonly #huffman = new Map<number, boolean>();
	#frame: { marker: number; components: Component[] } | null = null;
	/**
	 * The first scan held all components, and so the whole picture: decoders expect no other scan.
	 */
	#isOver = false;
	#begun = false;

	/**
	 * Takes one segment; false if a decoder would stop at it.
	 * @param marker any but an application marker or a comment
	 */
	take(marker: number, body: Uint8Array): boolean {
		switch (marker) {
			case DHT:
				return this.#takeHuffman(body);
			case DQT:
				return this.#takeQuantizations(body);
			case DAC:
				return isConditioning(body);
			case DRI:
				return body.length === 2;
			case SOS:
				return this.#begins(body);
			default:
				return this.#takeFrame(marker, body);
		}
	}

	#takeHuffman(body: Uint8Array): boolean {
		let at = 0;
		while (at < body.length) {
			const counts = body.subarray(at + 1, at + 17);
			const symbols = counts.reduce((sum, count) => sum + count, 0);
			const number = body[at] as number;
			const end = at + 17 + symbols;
			if (symbols > 256 || end > body.length) return false;
			if ((number & 0xef) > 3) return false;
			const isDc = number < 0x10;
			const used = body.subarray(at + 17, end);
			const fits = !isDc || used.every((symbol) => symbol < 16);
			this.#huffman.set(number, fits && isPrefixCode(counts));
			at = end;
		}
		return true;
	}

	#takeQuantizations(body: Uint8Array): boolean {
		let at = 0;
		while (at < body.length) {
			const head = body[at] as number;
			const number = head & 15;
			if (number > 3) return false;
			this.#quantizations.add(number);
			at += 1 + (head >> 4 ? 128 : 64);
		}
		return at === body.length;
	}

	#takeFrame(marker: number, body: Uint8Array): boolean {
		if (![...SEQUENTIAL, ...PROGRESSIVE].includes(marker)) return false;
		const [precision, , , , , count = 0] = body;
		if (this.#frame || precision !== 8 || ![1, 3, 4].includes(count))
			return false;
		if (body.length !== 6 + 3 * count) return false;
		const components = Array.from({ length: count }, (_, n) => {
			const [id = 0, sampling = 0, quantization = 0] = body.subarray(6 + 3 * n);
			const h = sampling >> 4;
			const v = sampling & 15;
			const isValid = h > 0 && h < 5 && v > 0 && v < 5;
			return { id, quantization, blocks: isValid ? h * v : 0 };
		});
		this.#frame = { marker, components };
		return components.every(({ blocks }) => blocks > 0);
	}

	#begins(body: Uint8Array): boolean {
		const frame = this.#frame;
		const [count = 0] = body;
		if (!frame || count < 1 || count > 4 || body.length !== 4 + 2 * count)
			return false;
		if (this.#isOver) return false;
		const left = [...frame.components];
		let blocks = 0;
		const [from = 0, to = 0, bits = 0] = body.subarray(1 + 2 * count);
		const isProgressive = PROGRESSIVE.includes(frame.marker);
		if (isProgressive && !isProgression(from, to, bits, count)) return false;
		this.#isOver = !isProgressive && !this.#begun && count === left.length;
		this.#begun = true;
		for (let n = 0; n < count; n++) {
			const [id, numbers = 0] = body.subarray(1 + 2 * n);
			const at = left.findIndex((component) => component.id === id);
			const [component] = at < 0 ? [] : left.splice(at, 1);
			if (!component || !this.#quantizations.has(component.quantization))
				return false;
			blocks += component.blocks;
			if (ARITHMETIC.includes(frame.marker)) continue;
			const dc = numbers >> 4;
			const ac = 0x10 | (numbers & 15);
			const isRefinement = bits >> 4 > 0;
			if (!isProgressive) {
				if (!this.#hasHuffman(dc, true) || !this.#hasHuffman(ac, true))
					return false;
			} else if (from > 0) {
				if (!this.#hasHuffman(ac, false)) return false;
			} else if (!isRefinement && !this.#hasHuffman(dc, false)) return false;
		}
		return count === 1 || blocks <= MAX_MCU_BLOCKS;
	}

	/**
	 * @param hasDefaults whether decoders use Annex K's tables for the first two that a file leaves
	 * out
	 */
	#hasHuffman(number: number, hasDefaults: boolean): boolean {
		if ((number & 0xef) > 3) return false;
		return this.#huffman.get(number) ?? (hasDefaults && (number & 0xef) < 2);
	}
}

/**
 * Whether a prefix code can have these counts of codes by length, 1 to 16 bits, without a code of
 * ones alone.
 */
function isPrefixCode(counts: Uint8Array): boolean {
	let code = 0;
	for (const [n, count] of counts.entries()) {
		code += count;
		if (count > 0 && code >= 1 << (n + 1)) return false;
		code <<= 1;
	}
	return true;
}

/** Whether a DAC segment is valid: pairs of a table's number and its conditioning bounds. */
function isConditioning(body: Uint8Array): boolean {
	if (body.length % 2 > 0) return false;
	for (let at = 0; at < body.length; at += 2) {
		const [number = 0, bounds = 0] = body.subarray(at);
		if (number > 31) return false;
		if (number < 16 && (bounds & 15) > bounds >> 4) return false;
	}
	return true;
}

/**
 * Whether a progressive scan may hold the coefficients `from` to `to` at these bit positions
 * (previous, current).
 */
function isProgression(
	from: number,
	to: number,
	bits: number,
	components: number,
): boolean {
	const previous = bits >> 4;
	const current = bits & 15;
	if (from === 0 ? to !== 0 : from > to || to > 63 || components !== 1)
		return false;
	return current <= 13 && (previous === 0 || current === previous - 1);
}
