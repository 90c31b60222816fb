import { z } from "@hono/zod-openapi";
import { UPLOAD_ID } from "../ids.ts";
import { oneOf } from "./one-of.ts";

export const ImageType = z.enum([
	"image/jpeg",
	"image/png",
	"image/webp",
	"image/gif",
]);
export type ImageType = z.infer<typeof ImageType>;

const UNKNOWN_TYPE = "application/octet-stream";

/** What a sender calls an image. It decides nothing: what is no type of an image is bytes, and a safe header in any case. */
export const DeclaredType = z
	.string()
	.nullish()
	.transform((type) => {
		const known = type?.toLowerCase() ?? "";
		return known.length <= 127 && /^image\/[\w.+-]+ *(;[ -~]*)?$/.test(known)
			? known
			: UNKNOWN_TYPE;
	})
	.openapi({
		description:
			"For the PUT's header. It decides nothing: the bytes do. Anything but an image's type counts as application/octet-stream.",
		example: "image/jpeg",
	});

/** Bounds on an image, the same on every way in. */
export const IMAGE_LIMITS = {
	/** Through the Worker: one-call uploads, data URLs and fetched URLs. */
	inlineBytes: 4 * 1024 * 1024,
	/** By presigned PUT. */
	bytes: 20 * 1024 * 1024,
	pixels: 40_000_000,
	/** Below this a photo shows nothing; also refuses tracking pixels. */
	minSide: 8,
	maxSide: 16_384,
} as const;

export const UploadId = z
	.string()
	.regex(UPLOAD_ID, "is no upload id")
	.openapi({ example: "img_01JD8Z6Q3V9Y4K2M7N5P8R1S3T" });

/** An image of a job: an upload of the account, or a URL (`https:` fetched once, or `data:`). */
export const ImageSource = oneOf([
	z.strictObject({ upload: UploadId }),
	z.strictObject({
		url: z
			.string()
			.min(1)
			.openapi({ example: "https://example.com/photo.jpg" }),
	}),
]);
export type ImageSource = z.infer<typeof ImageSource>;
