/** Request bodies: bounded while they stream, and each way of being wrong with its own code. */
import { createMiddleware } from "hono/factory";
import { hex } from "./account/key.ts";
import { ApiError } from "./errors.ts";
import { readAtMost } from "./read.ts";
import type { App } from "./router.ts";

/**
 * The whole body in memory. Stops reading as soon as it is over the limit, whatever Content-Length claims.
 * @param limit bytes
 * @throws ApiError `body_required`, `body_too_large`
 */
export async function readBody(
	request: Request,
	limit: number,
): Promise<Uint8Array<ArrayBuffer>> {
	const whole = await readAtMost(request, limit);
	if (!whole) throw new ApiError({ code: "body_too_large", limit });
	if (whole.length === 0) throw new ApiError({ code: "body_required" });
	return whole;
}

/**
 * Middleware before a route's JSON validator, which alone would skip a body without Content-Type and know no limit.
 * @param limit bytes
 * @throws ApiError `unsupported_media_type`, `body_required`, `body_too_large`, `invalid_json`
 */
export const body = ({ limit }: { limit: number }) =>
	createMiddleware<App>(async (c, next) => {
		const empty =
			c.req.raw.body === null || c.req.header("Content-Length") === "0";
		const type = c.req.header("Content-Type")?.split(";")[0]?.trim();
		if (!empty && type?.toLowerCase() !== "application/json")
			throw new ApiError({
				code: "unsupported_media_type",
				expected: "application/json",
			});
		const bytes = await readBody(c.req.raw, limit);
		const value = parse(bytes);
		c.set("bodySha256", hex(await crypto.subtle.digest("SHA-256", bytes)));
		// The validator reads this instead of parsing a second time.
		c.req.json = async <T>() => value as T;
		await next();
	});

/** Bound for bodies that hold no images. */
export const SMALL_BODY = 64 * 1024;

function parse(bytes: Uint8Array): unknown {
	try {
		return JSON.parse(
			new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(bytes),
		);
	} catch {
		throw new ApiError({ code: "invalid_json" });
	}
}
