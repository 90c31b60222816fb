import { ApiError } from "../errors.ts";
import { IMAGE_LIMITS, ImageType } from "../schema/image.ts";

const FORM = /^data:([^;,]*)(?:;[^;,]+)*;base64,/i;

/**
 * The bytes of a base64 `data:` URL.
 * @param field of the request, for errors
 * @throws ApiError `url_refused`, `image_type_unsupported`, `image_too_large`
 */
export function readDataUrl(
	url: string,
	field: string,
): { contentType: ImageType; bytes: Uint8Array<ArrayBuffer> } {
	const head = FORM.exec(url.slice(0, 256));
	if (!head)
		throw new ApiError({
			code: "url_refused",
			field,
			detail: `\`${field}\` is no base64 data URL. Send \`data:image/jpeg;base64,…\`.`,
		});
	const contentType = ImageType.safeParse(head[1]?.toLowerCase());
	if (!contentType.success)
		throw new ApiError({ code: "image_type_unsupported", field });
	const base64 = url.slice(head[0].length);
	const limit = IMAGE_LIMITS.inlineBytes;
	if (base64.length > Math.ceil(limit / 3) * 4 + 4)
		throw new ApiError({ code: "image_too_large", field, limit });
	let binary: string;
	try {
		binary = atob(base64);
	} catch {
		throw new ApiError({
			code: "url_refused",
			field,
			detail: `\`${field}\` holds broken base64. Encode the file again, without line breaks cut off.`,
		});
	}
	if (binary.length > limit)
		throw new ApiError({ code: "image_too_large", field, limit });
	return {
		contentType: contentType.data,
		bytes: Uint8Array.from(binary, (c) => c.charCodeAt(0)),
	};
}
