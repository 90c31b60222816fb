/**
 * Reads and drops the rest of a request's body before the response goes out.
 *
 * Many clients send the whole body before they read the response, and HTTP/1.1 has no way to stop
 * them. If the server closes the connection while they send, they see a reset and lose the
 * response, so a refusal (413, 401) would not reach them.
 */
import { createMiddleware } from "hono/factory";
import { nullAfter } from "../time.ts";
import type { App } from "./router.ts";

/**
 * More than Cloudflare passes to a Worker on most plans. After this much the connection may break.
 */
const MAX_BYTES = 128 * 1024 * 1024;
const TIMEOUT_MS = 30_000;
/** A client that sends nothing for this long may be waiting for the response. */
const IDLE_MS = 5_000;
/** The most bytes of the body in memory at once. */
const CHUNK_BYTES = 64 * 1024;

/** The outermost middleware, so that it sees the response of all others. */
export const drainBody = createMiddleware<App>(async (c, next) => {
	await next();
	const { body } = c.req.raw;
	if (body && !body.locked) await drain(body);
});

async function drain(body: ReadableStream<Uint8Array>): Promise<void> {
	const deadline = Date.now() + TIMEOUT_MS;
	let chunk = new Uint8Array(CHUNK_BYTES);
	let left = MAX_BYTES;
	try {
		const reader = body.getReader({ mode: "byob" });
		while (left > 0 && Date.now() < deadline) {
			const read = await nullAfter(IDLE_MS, reader.read(chunk));
			if (!read || read.done) return;
			left -= read.value.length;
			chunk = new Uint8Array(read.value.buffer);
		}
	} catch {} // the client has closed the connection, so nobody waits for the response
}
