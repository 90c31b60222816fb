// @ts-check
/** Photos that no cache has seen: the samples, each time quantized otherwise, hardly visibly. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../../scripts/paths.mjs";

const folder = join(root, "samples");
const samples = readdirSync(folder)
	.filter((name) => name.endsWith(".jpg"))
	.sort()
	.map((name) => readFileSync(join(folder, name)));

/**
 * @param {number} n the n-th photo; two numbers never give the same bytes
 * @returns {Buffer} a JPEG
 */
export function picture(n) {
	const jpeg = Buffer.from(/** @type {Buffer} */ (samples[n % samples.length]));
	// Behind the marker and the length: the table's id, then 64 steps in zigzag order.
	const table = jpeg.indexOf(Buffer.from([0xff, 0xdb])) + 5;
	let digits = Math.floor(n / samples.length);
	for (let entry = 63; digits > 0; entry--, digits = Math.floor(digits / 8)) {
		const at = table + entry;
		// The highest frequencies go first.
		jpeg[at] = Math.max(1, ((jpeg[at] ?? 1) & ~7) | (digits % 8));
	}
	return jpeg;
}
