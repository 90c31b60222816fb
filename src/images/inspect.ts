/** Bytes of a caller on their way to becoming an image of ours: pure, safe on any bytes, and blind to what they are called. */
import type { Failure, Result } from "../errors.ts";
import { IMAGE_LIMITS, type ImageType } from "../schema/image.ts";
import type { Reading, Size } from "./format.ts";
import { readGif } from "./gif.ts";
import { readJpeg } from "./jpeg.ts";
import { readPng } from "./png.ts";
import { sniff } from "./sniff.ts";
import { readWebp } from "./webp.ts";

export interface Inspected {
	contentType: ImageType;
	width: number;
	height: number;
	/** The image as it may be stored: without location, comments or trailing bytes. */
	bytes: Uint8Array<ArrayBuffer>;
}

const READERS: Record<ImageType, (bytes: Uint8Array<ArrayBuffer>) => Reading> =
	{
		"image/jpeg": readJpeg,
		"image/png": readPng,
		"image/webp": readWebp,
		"image/gif": readGif,
	};

/**
 * Checks type, dimensions, and that a decoder gets through: what is taken here, the worker decodes. No pixel is made.
 * @param field the request's field, for failures
 * @param limit bytes
 */
export async function inspect(
	bytes: Uint8Array<ArrayBuffer>,
	field: string,
	limit: number,
): Promise<Result<{ image: Inspected }>> {
	const failed = (failure: Failure) => ({ ok: false as const, failure });
	if (bytes.length > limit)
		return failed({ code: "image_too_large", field, limit });
	const contentType = sniff(bytes);
	if (!contentType) return failed({ code: "image_type_unsupported", field });
	const reading = READERS[contentType](bytes);
	const wrong = reading.size && dimensionsWrong(reading.size);
	if (reading.size && wrong)
		return failed({
			code: "image_dimensions",
			field,
			...reading.size,
			detail: wrong,
		});
	switch (reading.state) {
		case "truncated":
			return failed({ code: "image_truncated", field });
		case "malformed":
			return failed({ code: "image_undecodable", field });
		case "whole":
			if (reading.decodes && !(await reading.decodes()))
				return failed({ code: "image_undecodable", field });
			return {
				ok: true,
				image: { contentType, ...reading.size, bytes: reading.kept },
			};
	}
}

/** What is wrong with a size, in words, or null. */
function dimensionsWrong({ width, height }: Size): string | null {
	const { minSide, maxSide, pixels } = IMAGE_LIMITS;
	if (Math.min(width, height) < minSide)
		return `each side needs at least ${minSide} pixels.`;
	if (Math.max(width, height) > maxSide)
		return `no side may be over ${maxSide} pixels. Scale it down.`;
	if (width * height > pixels)
		return `it may have at most ${pixels} pixels. Scale it down.`;
	return null;
}
