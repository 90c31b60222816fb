/** The images of requests: how a request names one, and its limits. */
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

/**
 * The type that the sender declares for an image. Only the bytes decide what it is; this value
 * becomes a header of the stored object, so anything but an image type becomes the safe
 * UNKNOWN_TYPE.
 */
export const DeclaredType = z
	.string()
	.nullish()
	.transform((declared) => {
		const type = declared?.toLowerCase() ?? "";
		return type.length <= 127 && /^image\/[\w.+-]+ *(;[ -~]*)?$/.test(type)
			? type
			: UNKNOWN_TYPE;
	})
	.openapi({
		description:
			"The `Content-Type` header of the PUT. The image's bytes alone decide its type. Anything " +
			"but an image type counts as application/octet-stream.",
		example: "image/jpeg",
	});

/** The limits of an image, however it reaches the API. */
export const IMAGE_LIMITS = {
	/** For images that pass through the Worker: one-call uploads, data URLs and fetched URLs. */
	inlineBytes: 4 * 1024 * 1024,
	/** For a presigned PUT, which goes straight to the bucket. */
	bytes: 20 * 1024 * 1024,
	pixels: 40_000_000,
	/** A smaller picture shows nothing. Also refuses tracking pixels. */
	minSide: 8,
	maxSide: 16_384,
} as const;

export const UploadId = z
	.string()
	.regex(UPLOAD_ID, "is not an upload id")
	.openapi({ example: "img_01JD8Z6Q3V9Y4K2M7N5P8R1S3T" });

/**
 * An image of a job: an upload of the account, a `data:` URL, or an `https:` URL that is fetched
 * once.
 */
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
