/**
 * What keeps tenants apart in a worker's caches: HMACs under the account's cache secret, which
 * never leaves the account.
 */
import type { ImageRef } from "../contract/account.ts";
import { hex, hmac } from "../crypto.ts";
import type { HeldImage } from "./jobs.ts";

/**
 * An admitted job as its Job gets it: with a salt for the prefix cache and an id for each image.
 */
export async function withCacheIds<
	T extends { images: readonly HeldImage[]; createdAt: number },
>(
	secret: string,
	admitted: T,
): Promise<
	Omit<T, "images" | "createdAt"> & {
		images: ImageRef[];
		cacheSalt: string;
		createdAt: string;
	}
> {
	const images = admitted.images.map(async ({ sent: _, ...image }) => ({
		...image,
		cacheId: await tag(secret, image.sha256),
	}));
	return {
		...admitted,
		images: await Promise.all(images),
		cacheSalt: await tag(secret, "prefix"),
		createdAt: new Date(admitted.createdAt).toISOString(),
	};
}

const tag = async (secret: string, text: string): Promise<string> =>
	hex((await hmac(secret, text)).buffer as ArrayBuffer);
