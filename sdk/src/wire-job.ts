import type { UploadSource } from "./platform.ts";
import type { CallOptions } from "./transport.ts";
import type { JobRequest } from "./types.ts";
import type { Uploads } from "./uploads.ts";

type WireImage = NonNullable<JobRequest["images"]>[number];

/**
 * A question. Its `images` are ones that the API has or fetches (`{ upload }`, `{ url }`, an
 * `https:` or `data:` URL as text), or ones that this program has: a path, a Blob or File, bytes, a
 * stream. The client uploads the latter first.
 */
export type NewJob = Omit<JobRequest, "images"> & {
	images?: (WireImage | UploadSource)[];
};

/** Uploads the images, and returns the request as the API takes it. @internal */
export async function wireJob(
	uploads: Uploads,
	{ images, ...job }: NewJob,
	options: CallOptions,
): Promise<JobRequest> {
	const wireImages =
		images &&
		(await Promise.all(
			images.map((image) => wireImage(uploads, image, options)),
		));
	return { ...job, ...(wireImages && { images: wireImages }) };
}

async function wireImage(
	uploads: Uploads,
	image: WireImage | UploadSource,
	options: CallOptions,
): Promise<WireImage> {
	if (typeof image === "string" || "href" in image) {
		const url = String(image);
		if (/^(https?|data):/i.test(url)) return { url };
	} else if ("upload" in image || "url" in image) return image;
	const { id } = await uploads.create(image, options);
	return { upload: id };
}
