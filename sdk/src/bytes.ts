/**
 * Bytes, wherever they come from. A buffer or stream may come from another realm (an iframe, a test
 * runner) or from a package, where `instanceof` does not recognize it.
 */
import type { ByteStream, WebStream } from "./platform.ts";

/** Returns the bytes of a buffer or of a view of one; undefined for anything else. */
export function bytesIn(value: unknown): Uint8Array | undefined {
	if (ArrayBuffer.isView(value))
		return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
	const kind = Object.prototype.toString.call(value);
	if (/^\[object (Shared)?ArrayBuffer]$/.test(kind))
		return new Uint8Array(value as ArrayBuffer);
	return undefined;
}

/** Returns a reader for a web stream or for any async iterable. */
export function readerOf(
	stream: ByteStream,
): ReturnType<WebStream["getReader"]> {
	if ("getReader" in stream) return stream.getReader();
	const pieces = stream[Symbol.asyncIterator]();
	let end: (end: IteratorResult<Uint8Array>) => void;
	const ended = new Promise<IteratorResult<Uint8Array>>((resolve) => {
		end = resolve;
	});
	return {
		read: async () => {
			// Some streams do not settle a pending read when they are canceled.
			const { done = false, value } = await Promise.race([
				pieces.next(),
				ended,
			]);
			return { done, value };
		},
		async cancel() {
			end({ done: true, value: undefined });
			const { destroy } = stream as { destroy?: () => void };
			if (destroy) destroy.call(stream);
			else await pieces.return?.();
		},
	};
}

/**
 * Returns the SHA-256 in hex; null where the platform has no `crypto.subtle`, which browsers offer
 * only to pages from HTTPS or from this machine.
 */
export async function sha256(
	bytes: Uint8Array<ArrayBuffer>,
): Promise<string | null> {
	if (!globalThis.crypto?.subtle) return null;
	const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
	return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join(
		"",
	);
}
