/** Bytes of any realm: `instanceof` knows those of this one alone. */
import type { ByteStream, WebStream } from "./platform.ts";

/** The bytes of a buffer or of a view of one; undefined where it is neither. */
export function bytesIn(value: unknown): Uint8Array | undefined {
	if (ArrayBuffer.isView(value))
		return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
	const kind = Object.prototype.toString.call(value);
	if (/^\[object (Shared)?ArrayBuffer]$/.test(kind))
		return new Uint8Array(value as ArrayBuffer);
	return undefined;
}

/** Reads a stream piece by piece, whatever makes it. */
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
			// Not every stream lets go of a read when it is canceled.
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
