/** OpenAI's files: uploads in OpenAI's shape, under the same ids. */
import { createRoute, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { UploadView } from "../contract/account.ts";
import { config } from "../env.ts";
import { ApiError } from "../errors.ts";
import { requires, unwrapForCaller } from "../http/authenticate.ts";
import { readBody } from "../http/body.ts";
import { type App, newRouter } from "../http/router.ts";
import { finalKey } from "../images/key.ts";
import * as s3 from "../images/s3.ts";
import { DeletedFile, FileList, File as FileWire } from "../schema/file.ts";
import { IMAGE_LIMITS, UploadId } from "../schema/image.ts";
import { inspectImage, storeBodyAsUpload } from "../submit/images.ts";
import { IMAGE_FAILURES, openaiErrors } from "./failures.ts";
import { json, UPLOAD_PARAMS } from "./kit.ts";
import { findUpload, uploadIdOf } from "./uploads.ts";

export const files = newRouter();

/** Bytes of a form beside its file. */
const FORM_BYTES = 64 * 1024;
/** The purposes that an image may be sent with. */
const PURPOSES = ["vision", "user_data"];
/** The most files of one page, whatever `limit` says. */
const MOST_FILES = 1_000;

files.openapi(
	createRoute({
		method: "post",
		path: "/",
		operationId: "createFile",
		summary: "Upload an image as OpenAI's clients do",
		description:
			"An upload of up to 4 MB; its id goes into `image_url.url` or `file.file_id` of a chat " +
			"message, or into `images` of a job. Larger ones go through /v1/uploads.",
		...requires("uploads:write"),
		request: {
			body: {
				required: true,
				content: {
					"multipart/form-data": {
						// No zod schema: it would have the form parsed before its length is known.
						schema: {
							type: "object",
							required: ["file", "purpose"],
							properties: {
								file: { type: "string", format: "binary" },
								purpose: { type: "string", enum: PURPOSES },
							},
							example: { file: "(the image)", purpose: "vision" },
						},
					},
				},
			},
		},
		responses: {
			200: { description: "The file", content: json(FileWire) },
			...openaiErrors(
				...([400, 401, 413, 415, 422, 429, 503] as const),
				...(["body_required", "body_incomplete"] as const),
				...IMAGE_FAILURES,
			),
		},
	}),
	async (c) => {
		const file = await readFile(c);
		const received = await inspectImage(
			new Uint8Array(await file.arrayBuffer()),
			"file",
			IMAGE_LIMITS.inlineBytes,
		);
		return c.json(
			fileOf(await storeBodyAsUpload(c, c.var.caller, received)),
			200,
		);
	},
);

files.openapi(
	createRoute({
		method: "get",
		path: "/",
		operationId: "listFiles",
		summary: "The account's files",
		description:
			"Without the images that were sent within a chat message. A page has at most " +
			`${MOST_FILES} files, whatever \`limit\` says; with \`has_more\`, go on after ` +
			"`last_id`.",
		...requires("jobs:read"),
		request: {
			query: z.strictObject({
				after: UploadId.optional().openapi({
					description:
						"The page begins after this file: the last page's `last_id`",
				}),
				limit: z.coerce.number().int().min(1).max(10_000).default(MOST_FILES),
				order: z.enum(["asc", "desc"]).default("desc").openapi({
					description: "By their creation: the oldest or the newest first",
				}),
				purpose: z
					.string()
					.min(1)
					.max(64)
					.optional()
					.openapi({
						description:
							"Every file has the purpose `vision` or was sent with `user_data`. Other purposes " +
							"return an empty list",
						example: "vision",
					}),
			}),
		},
		responses: {
			200: { description: "A page of files", content: json(FileList) },
			...openaiErrors(400, 401, 429),
		},
	}),
	async (c) => {
		const { after = null, limit, order, purpose } = c.req.valid("query");
		const { account, credential } = c.var.caller;
		const page = {
			after,
			limit: Math.min(limit, MOST_FILES),
			order: order === "asc" ? "oldest" : "newest",
		} as const;
		const { uploads, more } = unwrapForCaller(
			c,
			await account.uploads(credential, page),
		);
		const here = purpose === undefined || PURPOSES.includes(purpose);
		const data = here ? uploads.map(fileOf) : [];
		return c.json(
			{
				object: "list" as const,
				data,
				first_id: data[0]?.id ?? null,
				last_id: data.at(-1)?.id ?? null,
				has_more: here && more,
			},
			200,
		);
	},
);

files.openapi(
	createRoute({
		method: "get",
		path: "/{id}",
		operationId: "getFile",
		summary: "A file",
		...requires("jobs:read"),
		request: { params: UPLOAD_PARAMS },
		responses: {
			200: { description: "The file", content: json(FileWire) },
			...openaiErrors(401, 404, 429, "upload_not_found"),
		},
	}),
	async (c) => {
		const { id } = c.req.valid("param");
		return c.json(fileOf(await findUpload(c, id, "id")), 200);
	},
);

files.openapi(
	createRoute({
		method: "get",
		path: "/{id}/content",
		operationId: "getFileContent",
		summary: "A file's bytes",
		description:
			"As they are stored: without the places, times and texts of their metadata.",
		...requires("jobs:read"),
		request: { params: UPLOAD_PARAMS },
		responses: {
			200: {
				description: "The image",
				content: {
					"image/*": { schema: { type: "string", format: "binary" } },
				},
			},
			...openaiErrors(401, 404, 429, 503, "upload_not_found"),
		},
	}),
	async (c) => {
		const file = await findUpload(c, c.req.valid("param").id, "id");
		const bytes =
			file.status === "ready" &&
			(await s3.get(
				config(c.env),
				finalKey(c.var.caller.id, file.id),
				IMAGE_LIMITS.bytes,
			));
		if (!bytes || bytes === "too_large")
			throw new ApiError({ code: "upload_not_found", field: "id" });
		return c.body(bytes, 200, {
			"Content-Type": file.contentType,
			"Cache-Control": "private, no-store",
			"X-Content-Type-Options": "nosniff",
		});
	},
);

files.openapi(
	createRoute({
		method: "delete",
		path: "/{id}",
		operationId: "deleteFile",
		summary: "Delete a file",
		description:
			"It is gone at once for new jobs; a job that holds the image keeps it until it ends.",
		...requires("uploads:write"),
		request: { params: UPLOAD_PARAMS },
		responses: {
			200: { description: "Deleted", content: json(DeletedFile) },
			...openaiErrors(401, 404, 429, "upload_not_found"),
		},
	}),
	async (c) => {
		const { account, credential } = c.var.caller;
		const id = uploadIdOf(c.req.valid("param").id, "id");
		unwrapForCaller(c, await account.deleteUpload(credential, id));
		return c.json({ id, object: "file" as const, deleted: true as const }, 200);
	},
);

/** @throws ApiError naming the form's field that is wrong */
async function readFile(c: Context<App>): Promise<File> {
	const type = c.req.header("Content-Type") ?? "";
	if (!/^multipart\/form-data\s*;/i.test(type))
		throw new ApiError({
			code: "unsupported_media_type",
			expected: "multipart/form-data with the fields `file` and `purpose`",
		});
	const limit = IMAGE_LIMITS.inlineBytes + FORM_BYTES;
	const bytes = await readBody(c.req.raw, limit);
	const wrong = (field: string, words: string) =>
		new ApiError({
			code: "invalid_request",
			field,
			detail: `\`${field}\` ${words}`,
		});
	const form = await new Response(bytes, { headers: { "Content-Type": type } })
		.formData()
		.catch(() => {
			throw wrong("body", "is not a form. Send multipart/form-data.");
		});
	for (const name of form.keys())
		if (name !== "file" && name !== "purpose")
			throw wrong(name, "is not supported here: leave it out.");
	const purpose = form.get("purpose");
	if (typeof purpose !== "string" || !PURPOSES.includes(purpose))
		throw wrong("purpose", "must be vision (or user_data): files are images.");
	const file: unknown = form.get("file");
	if (!(file instanceof File))
		throw wrong("file", "must be a file: the image, with a filename.");
	return file;
}

const fileOf = (view: UploadView): FileWire => ({
	id: view.id,
	object: "file",
	bytes: view.bytes,
	created_at: Math.floor(view.createdAt / 1000),
	filename: `${view.id}.${view.contentType.slice("image/".length)}`,
	purpose: "vision",
	status: view.status === "ready" ? "processed" : "uploaded",
});
