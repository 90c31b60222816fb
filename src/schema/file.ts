/** OpenAI's file object, as another view of an upload. */
import { z } from "@hono/zod-openapi";
import { UploadId } from "./image.ts";

const FILE = {
	id: "img_01JD8Z6Q3V9Y4K2M7N5P8R1S3T",
	object: "file",
	bytes: 52_822,
	created_at: 1_795_426_198,
	filename: "img_01JD8Z6Q3V9Y4K2M7N5P8R1S3T.jpeg",
	purpose: "vision",
	status: "processed",
} as const;

export const File = z
	.object({
		id: UploadId,
		object: z.literal("file"),
		/** The size of the file as it was sent. */
		bytes: z.int(),
		created_at: z.int().openapi({ description: "Seconds since 1970" }),
		/** The id with an extension: the API does not store the names of files. */
		filename: z.string(),
		/** Every file is an image for a model to read. */
		purpose: z.literal("vision"),
		status: z.enum(["uploaded", "processed"]),
	})
	.openapi("File", { example: FILE });
export type File = z.infer<typeof File>;

export const FileList = z
	.object({
		object: z.literal("list"),
		data: z.array(File),
		/** The ids of the first and the last item of `data`; null if it is empty. */
		first_id: UploadId.nullable(),
		last_id: UploadId.nullable(),
		has_more: z.boolean(),
	})
	.openapi("FileList", {
		example: {
			object: "list",
			data: [FILE],
			first_id: FILE.id,
			last_id: FILE.id,
			has_more: false,
		},
	});

export const DeletedFile = z
	.object({ id: UploadId, object: z.literal("file"), deleted: z.literal(true) })
	.openapi("DeletedFile", {
		example: {
			id: "img_01JD8Z6Q3V9Y4K2M7N5P8R1S3T",
			object: "file",
			deleted: true,
		},
	});
