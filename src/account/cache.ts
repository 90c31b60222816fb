/** What keeps tenants apart in a worker's caches: HMACs under the account's cache secret, which never leaves the account. */

import type { ImageRef } from "../contract/account.ts";
import { hex, hmac } from "../crypto.ts";
import type { HeldImage } from "./jobs.ts";

export const cacheSalt = (secret: string): Promise<string> =>
	tag(secret, "prefix");

/** A job's images as its Job gets them. */
export const withCacheIds = (
	secret: string,
	images: readonly HeldImage[],
): Promise<ImageRef[]> =>
	Promise.all(
		images.map(async ({ sent: _, ...image }) => ({
			...image,
			cacheId: await tag(secret, image.sha256),
		})),
	);

const tag = async (secret: string, text: string): Promise<string> =>
	hex((await hmac(secret, text)).buffer as ArrayBuffer);
