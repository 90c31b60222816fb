/** Image files for tests: real ones with a hidden place, and ones made byte by byte. */

import type { ImageType } from "../../src/schema/image.ts";
import placeGif from "../fixtures/images/place.gif?inline";
import placeJpg from "../fixtures/images/place.jpg?inline";
import placePng from "../fixtures/images/place.png?inline";
import placeWebp from "../fixtures/images/place.webp?inline";
import losslessWebp from "../fixtures/images/place-lossless.webp?inline";
import progressiveJpg from "../fixtures/images/place-progressive.jpg?inline";
import plainWebp from "../fixtures/images/plain.webp?inline";
import plainLosslessWebp from "../fixtures/images/plain-lossless.webp?inline";

export interface Fixture {
	name: string;
	type: ImageType;
	bytes: Uint8Array<ArrayBuffer>;
	/** Of the EXIF orientation that the file states; 1 where it states none. */
	orientation: number;
}

const bytesOf = (dataUrl: string): Uint8Array<ArrayBuffer> =>
	Uint8Array.fromBase64(dataUrl.slice(dataUrl.indexOf(",") + 1));

/** 48 x 32; all but the last two hide a place. */
export const FIXTURES: Fixture[] = (
	[
		["place.jpg", "image/jpeg", placeJpg, 6],
		["place-progressive.jpg", "image/jpeg", progressiveJpg, 6],
		["place.png", "image/png", placePng, 3],
		["place.webp", "image/webp", placeWebp, 8],
		["place-lossless.webp", "image/webp", losslessWebp, 1],
		["place.gif", "image/gif", placeGif, 1],
		["plain.webp", "image/webp", plainWebp, 1],
		["plain-lossless.webp", "image/webp", plainLosslessWebp, 1],
	] as const
).map(([name, type, url, orientation]) => ({
	name,
	type,
	orientation,
	bytes: bytesOf(url),
}));

export const fixture = (name: string): Fixture => {
	const found = FIXTURES.find((each) => each.name === name);
	if (!found) throw new Error(`there is no fixture ${name}`);
	return found;
};

/** A file with other dimensions in its header. */
export function resized(
	{ type, bytes, name }: Fixture,
	width: number,
	height: number,
): Uint8Array<ArrayBuffer> {
	const copy = bytes.slice();
	const data = new DataView(copy.buffer);
	switch (type) {
		case "image/png":
			data.setUint32(16, width);
			data.setUint32(20, height);
			return copy;
		case "image/gif":
			data.setUint16(6, width, true);
			data.setUint16(8, height, true);
			return copy;
		case "image/jpeg": {
			const frame = copy.findIndex(
				(byte, n) =>
					byte === 0xff &&
					[0xc0, 0xc2].includes(copy[n + 1] as number) &&
					copy[n + 2] === 0 &&
					copy[n + 3] === 17,
			);
			data.setUint16(frame + 5, height);
			data.setUint16(frame + 7, width);
			return copy;
		}
		default:
			if (name.startsWith("plain")) throw new Error("has no canvas size");
			data.setUint32(24, width - 1, true);
			data.setUint16(27, (height - 1) & 0xffff, true);
			data.setUint8(29, (height - 1) >> 16);
			return copy;
	}
}
