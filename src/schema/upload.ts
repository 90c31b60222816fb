/** Uploads: the request for one, the upload, and lists of uploads. */
import { z } from "@hono/zod-openapi";
import { DeclaredType, IMAGE_LIMITS, UploadId } from "./image.ts";

const Sha256 = z
	.string()
	.regex(/^[0-9a-f]{64}$/, "must be 64 hex digits in lower case")
	.openapi({
		example: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
	});

/** Requests a presigned PUT, whose signature covers type, length and hash. */
export const UploadRequest = z
	.strictObject({
		content_type: DeclaredType,
		bytes: z.int().min(1).max(IMAGE_LIMITS.bytes),
		sha256: Sha256,
	})
	.openapi("UploadRequest", {
		example: {
			content_type: "image/jpeg",
			bytes: 52_822,
			sha256:
				"3bdbdffcc407537699aadcde33e5c20dce408ffaedc28c998ca15c1a49d4a00a",
		},
	});
export type UploadRequest = z.infer<typeof UploadRequest>;

const UPLOAD = {
	id: "img_01JD8Z6Q3V9Y4K2M7N5P8R1S3T",
	object: "upload",
	status: "ready",
	content_type: "image/jpeg",
	bytes: 52_822,
	sha256: "3bdbdffcc407537699aadcde33e5c20dce408ffaedc28c998ca15c1a49d4a00a",
	width: 512,
	height: 512,
	created_at: "2026-11-23T09:29:58.000Z",
} as const;

export const Upload = z
	.object({
		id: UploadId,
		object: z.literal("upload"),
		status: z.enum(["pending", "ready"]),
		/** The type by the image's bytes; while pending, the declared type. */
		content_type: z.string(),
		bytes: z.int(),
		/** The hash of the bytes as sent. */
		sha256: Sha256,
		width: z.int().nullable(),
		height: z.int().nullable(),
		created_at: z.iso.datetime(),
		/** While pending: the URL for the PUT, and the headers that its signature covers. */
		put: z
			.object({
				url: z.url(),
				headers: z.record(z.string(), z.string()),
				expires_at: z.iso.datetime(),
			})
			.optional(),
	})
	.openapi("Upload", { example: UPLOAD });
export type Upload = z.infer<typeof Upload>;

export const UploadList = z
	.object({ data: z.array(Upload), next_cursor: z.string().nullable() })
	.openapi("UploadList", { example: { data: [UPLOAD], next_cursor: null } });
