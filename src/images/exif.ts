/**
 * Reduces EXIF to the orientation, without which a picture is displayed the wrong way. Everything
 * else is dropped, because fields, maker notes and thumbnails may say where the photo was taken.
 */
import { startsWith, view } from "./format.ts";

const ORIENTATION = 0x0112;
const SHORT = 3;

/**
 * The orientation, 1 to 8, in a TIFF structure; 1 (upright) if it is missing or invalid.
 * @param tiff from its byte order mark on
 */
export function orientationOf(tiff: Uint8Array): number {
	const little = startsWith(tiff, "II*\0", 0);
	if (!little && !startsWith(tiff, "MM\0*", 0)) return 1;
	if (tiff.length < 10) return 1;
	const data = view(tiff);
	const ifd = data.getUint32(4, little);
	if (ifd + 2 > tiff.length) return 1;
	const entries = data.getUint16(ifd, little);
	for (let n = 0; n < entries; n++) {
		const at = ifd + 2 + n * 12;
		if (at + 12 > tiff.length) return 1;
		if (data.getUint16(at, little) !== ORIENTATION) continue;
		if (data.getUint16(at + 2, little) !== SHORT) return 1;
		if (data.getUint32(at + 4, little) !== 1) return 1;
		const value = data.getUint16(at + 8, little);
		return value >= 1 && value <= 8 ? value : 1;
	}
	return 1;
}

/** A TIFF structure whose only entry is the orientation. */
export function tiffOf(orientation: number): Uint8Array<ArrayBuffer> {
	const tiff = new Uint8Array(26);
	const data = view(tiff);
	tiff.set([0x4d, 0x4d, 0, 0x2a]);
	data.setUint32(4, 8);
	data.setUint16(8, 1);
	data.setUint16(10, ORIENTATION);
	data.setUint16(12, SHORT);
	data.setUint32(14, 1);
	data.setUint16(18, orientation);
	return tiff;
}
