/**
 * Turns a caller's bytes into an image that can be stored and decoded, or says why it cannot. Pure;
 * safe on any bytes.
 */
import type { Failure, Result } from "../errors.ts";
import { IMAGE_LIMITS, type ImageType } from "../schema/image.ts";
import { type ReadResult, type Size, sniff } from "./format.ts";
import { readGif } from "./gif.ts";
import { readJpeg } from "./jpeg.ts";
import { readPng } from "./png.ts";
import { readWebp } from "./webp.ts";

export interface InspectedImage {
	contentType: ImageType;
	width: number;
	height: number;
	/** The bytes to store: without location, comments and trailing bytes. */
	bytes: Uint8Array<ArrayBuffer>;
}

const READERS: Record<
	ImageType,
	(bytes: Uint8Array<ArrayBuffer>) => ReadResult
> = {
	"image/jpeg": readJpeg,
	"image/png": readPng,
	"image/webp": readWebp,
	"image/gif": readGif,
};

/**
 * Checks an image's type and dimensions, and that a decoder can read it to the end, so that the GPU
 * worker can decode every image accepted here. It decodes no pixel itself.
 * @param field the request's field, for failures
 * @param limit in bytes
 */
export async function inspect(
	bytes: Uint8Array<ArrayBuffer>,
	field: string,
	limit: number,
): Promise<Result<{ image: InspectedImage }>> {
	const failed = (failure: Failure) => ({ ok: false as const, failure });
	if (bytes.length > limit)
		return failed({ code: "image_too_large", field, limit });
	const contentType = sniff(bytes);
	if (!contentType) return failed({ code: "image_type_unsupported", field });
	const result = READERS[contentType](bytes);
	const detail = result.size && dimensionError(result.size);
	if (result.size && detail)
		return failed({ code: "image_dimensions", field, ...result.size, detail });
	switch (result.state) {
		case "truncated":
			return failed({ code: "image_truncated", field });
		case "malformed":
			return failed({ code: "image_undecodable", field });
		case "whole":
			if (result.decodes && !(await result.decodes()))
				return failed({ code: "image_undecodable", field });
			return {
				ok: true,
				image: { contentType, ...result.size, bytes: result.kept },
			};
	}
}

/** Why a size is refused, for the caller; null if it is not. */
function dimensionError({ width, height }: Size): string | null {
	const { minSide, maxSide, pixels } = IMAGE_LIMITS;
	if (Math.min(width, height) < minSide)
		return `each side needs at least ${minSide} pixels.`;
	if (Math.max(width, height) > maxSide)
		return `no side may be over ${maxSide} pixels. Scale it down.`;
	if (width * height > pixels)
		return `it may have at most ${pixels} pixels. Scale it down.`;
	return null;
}
