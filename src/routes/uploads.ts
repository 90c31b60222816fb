/** Uploads: images on their way to jobs. */
import { createRoute, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { createMiddleware } from "hono/factory";
import type { UploadView } from "../account/uploads.ts";
import { body, readBody, SMALL_BODY } from "../body.ts";
import { type Caller, caller } from "../caller.ts";
import { config } from "../env.ts";
import { ApiError, unwrap } from "../errors.ts";
import { newUploadId } from "../ids.ts";
import { accept, digest, place, store } from "../images/intake.ts";
import { finalKey, PUT_VALID_MS, stagingKey } from "../images/key.ts";
import { get, presignPut } from "../images/s3.ts";
import { type App, newRouter } from "../router.ts";
import { IMAGE_LIMITS, ImageType } from "../schema/image.ts";
import { Upload, UploadRequest } from "../schema/upload.ts";
import { problems } from "./problems.ts";

export const uploads = newRouter();

const json = { "application/json": { schema: Upload } };
const binary = { schema: { type: "string", format: "binary" } } as const;
const params = z.object({ id: z.string() });

/** Sends image bodies past the JSON parser, within their own limit. */
const imageOrJson = createMiddleware<App>(async (c, next) => {
	const type = c.req
		.header("Content-Type")
		?.split(";")[0]
		?.trim()
		.toLowerCase();
	await caller(c);
	if (type?.startsWith("image/")) return await uploadAtOnce(c, type);
	return await body({ limit: SMALL_BODY })(c, next);
});

uploads.openapi(
	createRoute({
		method: "post",
		path: "/",
		summary: "Upload an image",
		description:
			"Send an image of up to 4 MB as the body, with its content type, and it is ready at once. Or send its type, length and SHA-256 as JSON: the answer holds a URL and the headers to PUT exactly those bytes with (up to 20 MB), after which it is finalized. Places, times and texts in the file's metadata are removed; orientation is kept.",
		middleware: imageOrJson,
		request: {
			body: {
				required: true,
				content: {
					"application/json": { schema: UploadRequest },
					...Object.fromEntries(
						ImageType.options.map((type) => [type, binary]),
					),
				},
			},
		},
		responses: {
			201: {
				description: "The upload: ready, or pending with a URL to PUT to",
				content: json,
			},
			...problems(400, 401, 413, 415, 422, 503),
		},
	}),
	async (c) => {
		const known = await caller(c);
		const {
			content_type: contentType,
			bytes,
			sha256,
		} = c.req.valid("json") as z.infer<typeof UploadRequest>;
		const now = Date.now();
		const id = newUploadId(now);
		const declared = { id, contentType, bytes, sha256 };
		const {
			uploads: [view],
		} = unwrap(await known.account.createUploads(known.secretHash, [declared]));
		const put = await presignPut(
			config(c.env),
			stagingKey(finalKey(known.id, id)),
			declared,
			PUT_VALID_MS / 1000,
		);
		const expires_at = new Date(now + PUT_VALID_MS).toISOString();
		return c.json(
			{ ...wireOf(view as UploadView), put: { ...put, expires_at } },
			201,
		);
	},
);

uploads.openapi(
	createRoute({
		method: "post",
		path: "/{id}/finalize",
		summary: "Check and keep what was PUT",
		description:
			"Looks at the stored bytes and makes the upload ready. Repeating it changes nothing.",
		request: { params },
		responses: {
			200: { description: "The upload, ready", content: json },
			...problems(401, 404, 409, 413, 422, 503),
		},
	}),
	async (c) => {
		const known = await caller(c);
		const upload = await find(known, c.req.valid("param").id);
		if (upload.status === "ready") return c.json(wireOf(upload), 200);
		const settings = config(c.env);
		const object = await get(
			settings,
			stagingKey(finalKey(known.id, upload.id)),
			IMAGE_LIMITS.bytes,
		);
		if (!object) throw new ApiError({ code: "upload_incomplete" });
		if (
			object === "too_large" ||
			(await digest(object.bytes)) !== upload.sha256
		)
			throw new ApiError({
				code: "upload_mismatch",
				detail:
					"The stored bytes are not those that were declared. Start a new upload.",
			});
		const stored = await place(
			settings,
			known.id,
			upload.id,
			await accept(
				object.bytes,
				"upload",
				upload.contentType,
				IMAGE_LIMITS.bytes,
			),
		);
		const {
			uploads: [view],
		} = unwrap(await known.account.finalizeUploads(known.secretHash, [stored]));
		return c.json(wireOf(view as UploadView), 200);
	},
);

uploads.openapi(
	createRoute({
		method: "get",
		path: "/{id}",
		summary: "An upload",
		request: { params },
		responses: {
			200: { description: "The upload", content: json },
			...problems(401, 404),
		},
	}),
	async (c) =>
		c.json(wireOf(await find(await caller(c), c.req.valid("param").id)), 200),
);

uploads.openapi(
	createRoute({
		method: "delete",
		path: "/{id}",
		summary: "Delete an upload",
		description:
			"It is gone at once for new jobs; one that holds it keeps it until it ends.",
		request: { params },
		responses: { 204: { description: "Deleted" }, ...problems(401, 404) },
	}),
	async (c) => {
		const known = await caller(c);
		const { id } = c.req.valid("param");
		unwrap(await known.account.deleteUpload(known.secretHash, id));
		return c.body(null, 204);
	},
);

async function uploadAtOnce(c: Context<App>, type: string): Promise<Response> {
	const known = await caller(c);
	const declared = ImageType.safeParse(type);
	if (!declared.success)
		throw new ApiError({
			code: "unsupported_media_type",
			expected: ImageType.options.join(", "),
		});
	const file = await readBody(c.req.raw, IMAGE_LIMITS.inlineBytes);
	const image = await accept(file, "body", declared.data);
	const [view] = await store(c, known, [image]);
	return c.json(wireOf(view as UploadView), 201);
}

const find = async (known: Caller, id: string): Promise<UploadView> =>
	unwrap(await known.account.upload(known.secretHash, id)).upload;

const wireOf = (view: UploadView): Upload => ({
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
