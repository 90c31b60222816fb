/** Uploads: images on their way to jobs. */

import { createRoute, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { UploadView } from "../contract/account.ts";
import { sha256 } from "../crypto.ts";
import { config } from "../env.ts";
import { ApiError } from "../errors.ts";
import { requires, unwrapForCaller } from "../http/authenticate.ts";
import { mediaTypeOf, readBody, readJson, SMALL_BODY } from "../http/body.ts";
import { type App, invalidRequest, newRouter } from "../http/router.ts";
import { newUploadId, UPLOAD_ID } from "../ids.ts";
import { sniff } from "../images/format.ts";
import { finalKey, PUT_VALID_MS, stagingKey } from "../images/key.ts";
import * as s3 from "../images/s3.ts";
import { IMAGE_LIMITS, ImageType } from "../schema/image.ts";
import { Upload, UploadList, UploadRequest } from "../schema/upload.ts";
import {
	inspectImage,
	type ReceivedImage,
	storeBodyAsUpload,
	storeImage,
} from "../submit/images.ts";
import { IMAGE_FAILURES, JSON_CALL, problems } from "./failures.ts";
import { json, NOT_STORED, pageLimit, UPLOAD_PARAMS } from "./kit.ts";

export const uploads = newRouter();

const images = Object.fromEntries(
	[...ImageType.options, "application/octet-stream"].map((type) => [
		type,
		{ schema: { type: "string", format: "binary" } as const },
	]),
);

uploads.openAPIRegistry.register("UploadRequest", UploadRequest);

uploads.openapi(
	createRoute({
		method: "post",
		path: "/",
		operationId: "createUpload",
		summary: "Upload an image",
		description:
			"Send an image of up to 4 MB as the body, and it is ready at once: its bytes say what it " +
			"is, whatever its Content-Type, unless that is application/json or a form (which goes to " +
			"/v1/files). Or send its length and SHA-256 as JSON, and a type for the PUT: the answer " +
			"holds a URL, good for 15 minutes, and the headers to PUT exactly those bytes with (up to " +
			"20 MB); then finalize. Places, times and texts in the file's metadata are removed, " +
			"orientation is kept. An upload that is not finalized within an hour is deleted, and any " +
			"other 30 days after its creation, or when the last job that holds it then ends.",
		...requires("uploads:write"),
		request: {
			body: {
				required: true,
				content: {
					// No zod schema: the router would refuse an image for not being JSON.
					"application/json": {
						schema: { $ref: "#/components/schemas/UploadRequest" },
					},
					...images,
				},
			},
		},
		responses: {
			201: {
				description: "The upload: ready, or pending with a URL to PUT to",
				content: json(Upload),
			},
			...problems(...JSON_CALL, 422, 503, ...IMAGE_FAILURES),
		},
	}),
	async (c) => {
		const sent = await readSent(c);
		if ("image" in sent) {
			const view = await storeBodyAsUpload(c, c.var.caller, sent);
			return c.json(uploadOf(view), 201);
		}
		const { account, credential, id: owner } = c.var.caller;
		const draft = {
			id: newUploadId(Date.now()),
			contentType: sent.content_type,
			bytes: sent.bytes,
			sha256: sent.sha256,
			way: "put" as const,
		};
		const made = unwrapForCaller(
			c,
			await account.createUploads(credential, [draft]),
		);
		const view = made.uploads[0] as UploadView;
		const put = await s3.presignPut(
			config(c.env),
			stagingKey(finalKey(owner, view.id)),
			draft,
			PUT_VALID_MS / 1000,
		);
		const expires = new Date(view.createdAt + PUT_VALID_MS);
		return c.json(
			{ ...uploadOf(view), put: { ...put, expires_at: expires.toISOString() } },
			201,
			NOT_STORED,
		);
	},
);

uploads.openapi(
	createRoute({
		method: "get",
		path: "/",
		operationId: "listUploads",
		summary: "The account's uploads, newest first",
		description:
			"Without the images that were sent with a job: they are deleted with it.",
		...requires("jobs:read"),
		request: {
			query: z.strictObject({
				cursor: z
					.string()
					.regex(
						UPLOAD_ID,
						"is not a cursor of this list. Send the last page's `next_cursor`, or leave it out",
					)
					.optional(),
				limit: pageLimit,
			}),
		},
		responses: {
			200: { description: "A page of uploads", content: json(UploadList) },
			...problems(400, 401, 429),
		},
	}),
	async (c) => {
		const { cursor = null, limit } = c.req.valid("query");
		const { account, credential } = c.var.caller;
		const page = { after: cursor, limit, order: "newest" } as const;
		const listed = unwrapForCaller(c, await account.uploads(credential, page));
		const last = listed.more ? listed.uploads.at(-1) : undefined;
		return c.json(
			{ data: listed.uploads.map(uploadOf), next_cursor: last?.id ?? null },
			200,
		);
	},
);

uploads.openapi(
	createRoute({
		method: "post",
		path: "/{id}/finalize",
		operationId: "finalizeUpload",
		summary: "Check what was PUT, and keep it",
		description:
			"Reads the stored bytes, checks them against what was declared, and makes the upload " +
			"ready. Repeating it changes nothing.",
		...requires("uploads:write"),
		request: { params: UPLOAD_PARAMS },
		responses: {
			200: { description: "The upload, ready", content: json(Upload) },
			...problems(
				401,
				404,
				409,
				413,
				422,
				429,
				503,
				"upload_not_found",
				"upload_incomplete",
				"upload_mismatch",
				...IMAGE_FAILURES,
			),
		},
	}),
	async (c) => {
		const { id: owner, account, credential } = c.var.caller;
		const upload = await findUpload(c, c.req.valid("param").id);
		if (upload.status === "ready") return c.json(uploadOf(upload), 200);
		const sent = await readStaged(c, upload);
		if (!sent) {
			// Nothing was PUT yet, unless another call finalized it a moment ago.
			const now = await findUpload(c, upload.id);
			if (now.status === "ready") return c.json(uploadOf(now), 200);
			throw new ApiError({ code: "upload_incomplete", field: "id" });
		}
		const stored = await storeImage(
			config(c.env),
			owner,
			upload.id,
			sent.image,
		);
		const done = unwrapForCaller(
			c,
			await account.finalizeUploads(credential, [stored]),
		);
		return c.json(uploadOf(done.uploads[0] as UploadView), 200);
	},
);

uploads.openapi(
	createRoute({
		method: "get",
		path: "/{id}",
		operationId: "getUpload",
		summary: "An upload",
		...requires("jobs:read"),
		request: { params: UPLOAD_PARAMS },
		responses: {
			200: { description: "The upload", content: json(Upload) },
			...problems(401, 404, 429, "upload_not_found"),
		},
	}),
	async (c) => {
		const upload = await findUpload(c, c.req.valid("param").id);
		return c.json(uploadOf(upload), 200);
	},
);

uploads.openapi(
	createRoute({
		method: "delete",
		path: "/{id}",
		operationId: "deleteUpload",
		summary: "Delete an upload",
		description:
			"It is gone at once for new jobs; a job that holds the image keeps it until it ends.",
		...requires("uploads:write"),
		request: { params: UPLOAD_PARAMS },
		responses: {
			204: { description: "Deleted" },
			...problems(401, 404, 429, "upload_not_found"),
		},
	}),
	async (c) => {
		const { account, credential } = c.var.caller;
		const id = uploadIdOf(c.req.valid("param").id);
		unwrapForCaller(c, await account.deleteUpload(credential, id));
		return c.body(null, 204);
	},
);

/**
 * What a caller sends to make an upload: the image itself, or what it is going to PUT.
 * @throws ApiError naming the field, or the types that are supported
 */
async function readSent(
	c: Context<App>,
): Promise<ReceivedImage | UploadRequest> {
	const type = mediaTypeOf(c);
	if (type === "application/json") {
		const request = UploadRequest.safeParse(await readJson(c, SMALL_BODY));
		if (!request.success) throw invalidRequest(request.error);
		return request.data;
	}
	if (type === "multipart/form-data")
		throw unsupportedType(". A form goes to POST /v1/files");
	const limit = IMAGE_LIMITS.inlineBytes;
	const bytes = await readBody(c.req.raw, limit);
	if (!sniff(bytes) && OTHER_TYPES.test(type)) throw unsupportedType();
	return inspectImage(bytes, "body", limit);
}

/** A body that is declared as another type and is not an image. */
const OTHER_TYPES =
	/^(text|audio|video|font|model|message|multipart|application(?!\/octet-stream$))\//;

const unsupportedType = (more = "") =>
	new ApiError({
		code: "unsupported_media_type",
		expected:
			`the image itself, as ${ImageType.options.join(", ")}, or its length and SHA-256 as ` +
			`application/json${more}`,
	});

/**
 * The image that a caller PUT for a pending upload; null where nothing was PUT.
 * @throws ApiError `upload_mismatch`, and what `inspectImage` throws
 */
async function readStaged(
	c: Context<App>,
	upload: UploadView,
): Promise<ReceivedImage | null> {
	const key = stagingKey(finalKey(c.var.caller.id, upload.id));
	const bytes = await s3.get(config(c.env), key, upload.bytes);
	if (!bytes) return null;
	const differs = (what: string) =>
		new ApiError({
			code: "upload_mismatch",
			detail: `The stored object has another ${what} than was declared. Start a new upload.`,
		});
	if (bytes === "too_large" || bytes.length !== upload.bytes)
		throw differs("length");
	if ((await sha256(bytes)) !== upload.sha256) throw differs("sha256");
	return inspectImage(bytes, "id", IMAGE_LIMITS.bytes);
}

/**
 * The caller's upload.
 * @param field the request's field, for errors
 * @throws ApiError `upload_not_found`
 */
export async function findUpload(
	c: Context<App>,
	id: string,
	field?: string,
): Promise<UploadView> {
	const { account, credential } = c.var.caller;
	const found = await account.upload(credential, uploadIdOf(id, field));
	return unwrapForCaller(c, found).upload;
}

/** @throws ApiError `upload_not_found` for an invalid upload id, which calls no Durable Object */
export function uploadIdOf(id: string, field?: string): string {
	if (UPLOAD_ID.test(id)) return id;
	throw new ApiError({ code: "upload_not_found", ...(field && { field }) });
}

/** The wire form of an upload. */
const uploadOf = (view: UploadView): Upload => ({
	id: view.id,
	object: "upload",
	status: view.status,
	content_type: view.contentType,
	bytes: view.bytes,
	sha256: view.sha256,
	width: view.width,
	height: view.height,
	created_at: new Date(view.createdAt).toISOString(),
});
