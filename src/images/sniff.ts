import type { ImageType } from "../schema/image.ts";
import { startsWith } from "./format.ts";

/** The image type that the first bytes tell, or null. What the sender called it plays no part. */
export function sniff(bytes: Uint8Array): ImageType | null {
	if (startsWith(bytes, "\xff\xd8\xff", 0)) return "image/jpeg";
	if (startsWith(bytes, "\x89PNG\r\n\x1a\n", 0)) return "image/png";
	if (startsWith(bytes, "RIFF", 0) && startsWith(bytes, "WEBP", 8))
		return "image/webp";
	if (startsWith(bytes, "GIF87a", 0) || startsWith(bytes, "GIF89a", 0))
		return "image/gif";
	return null;
}
