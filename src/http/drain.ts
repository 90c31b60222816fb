/**
 * What a caller sends of a body that is refused. Many clients write the whole body before they read the answer, and HTTP/1.1
 * has no way to stop them: whoever lets the connection go meanwhile resets it under them, and the answer is lost. So the
 * rest is read and dropped first, within bounds.
 */
import { createMiddleware } from "hono/factory";
import type { App } from "./router.ts";

/** More than Cloudflare lets through to a Worker, on most of its plans. Past it the connection may break. */
const MOST_BYTES = 128 * 1024 * 1024;
const WITHIN_MS = 30_000;
/** Who sends nothing for so long may be waiting for the answer. */
const IDLE_MS = 5_000;
/** All that is ever held of it. */
const CHUNK_BYTES = 64 * 1024;

/** Before all others: whatever they answer goes out once the caller has sent what it wanted to send. */
export const drained = createMiddleware<App>(async (c, next) => {
	await next();
	const { body } = c.req.raw;
	if (body && !body.locked) await drain(body);
});

async function drain(body: ReadableStream<Uint8Array>): Promise<void> {
	const until = Date.now() + WITHIN_MS;
	let chunk = new Uint8Array(CHUNK_BYTES);
	let left = MOST_BYTES;
	try {
		const reader = body.getReader({ mode: "byob" });
		while (left > 0 && Date.now() < until) {
			const read = await within(IDLE_MS, reader.read(chunk));
			if (!read || read.done) return;
			left -= read.value.length;
			chunk = new Uint8Array(read.value.buffer);
		}
	} catch {} // the caller left: nobody waits for the answer
}

/** Null where it takes longer. */
async function within<T>(ms: number, work: Promise<T>): Promise<T | null> {
	let timer: ReturnType<typeof setTimeout> | undefined;
	const over = new Promise<null>((resolve) => {
		timer = setTimeout(() => resolve(null), ms);
	});
	try {
		return await Promise.race([work, over]);
	} finally {
		clearTimeout(timer);
	}
}
