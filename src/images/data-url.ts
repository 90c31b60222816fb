import { ApiError } from "../errors.ts";
import { IMAGE_LIMITS, ImageType } from "../schema/image.ts";

const HEAD = /^data:([^;,]{0,64});base64,/i;

/**
 * The bytes of a base64 `data:` URL, refused by length before it is decoded.
 * @param field of the request, for errors
 * @throws ApiError `url_refused`, `image_type_unsupported`, `image_too_large`
 */
export function readDataUrl(
	url: string,
	field: string,
): { contentType: ImageType; bytes: Uint8Array<ArrayBuffer> } {
	const refused = (words: string) =>
		new ApiError({
			code: "url_refused",
			field,
			detail: `\`${field}\` ${words}`,
		});
	const [head, type] = HEAD.exec(url.slice(0, 80)) ?? [];
	if (head === undefined)
		throw refused("is no base64 data URL. Send `data:image/jpeg;base64,…`.");
	const contentType = ImageType.safeParse(type?.toLowerCase());
	if (!contentType.success)
		throw new ApiError({ code: "image_type_unsupported", field });
	const limit = IMAGE_LIMITS.inlineBytes;
	if (url.length - head.length > Math.ceil(limit / 3) * 4)
		throw new ApiError({ code: "image_too_large", field, limit });
	try {
		const bytes = Uint8Array.fromBase64(url.slice(head.length));
		return { contentType: contentType.data, bytes };
	} catch {
		throw refused("holds broken base64. Encode the whole file again.");
	}
}
