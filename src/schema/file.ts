/** OpenAI's file object, over an upload. */
import { z } from "@hono/zod-openapi";
import { UploadId } from "./image.ts";

export const File = z
	.object({
		id: UploadId,
		object: z.literal("file"),
		/** Of the file as sent. */
		bytes: z.int(),
		created_at: z.int().openapi({ description: "Seconds since 1970" }),
		/** Made of the id: names of files are not kept. */
		filename: z.string(),
		/** Every file here is an image for a model to see. */
		purpose: z.literal("vision"),
		status: z.enum(["uploaded", "processed"]),
	})
	.openapi("File");
export type File = z.infer<typeof File>;

export const DeletedFile = z
	.object({ id: UploadId, object: z.literal("file"), deleted: z.literal(true) })
	.openapi("DeletedFile");
