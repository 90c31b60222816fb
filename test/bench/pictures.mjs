// @ts-check
/** Photos that no cache has seen: the samples, each time with another, hardly visible, quantization. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../../scripts/paths.mjs";

const folder = join(root, "samples");
const samples = readdirSync(folder)
	.filter((name) => name.endsWith(".jpg"))
	.sort()
	.map((name) => readFileSync(join(folder, name)));

/** @param {number} n the n-th photo; two numbers never give the same bytes @returns {Buffer} a JPEG */
export function picture(n) {
	const jpeg = Buffer.from(/** @type {Buffer} */ (samples[n % samples.length]));
	const table = jpeg.indexOf(Buffer.from([0xff, 0xdb])) + 5; // marker, length, table id, then 64 steps in zigzag order
	let digits = Math.floor(n / samples.length);
	for (let entry = 63; digits > 0; entry--, digits = Math.floor(digits / 8)) {
		const at = table + entry;
		jpeg[at] = Math.max(1, ((jpeg[at] ?? 1) & ~7) | (digits % 8)); // the highest frequencies go first
	}
	return jpeg;
}
