/** Reads the bytes of an image to upload, wherever they are. */
import { bytesIn, readerOf } from "./bytes.ts";
import { MiniGPT4Error } from "./errors.ts";
import type { ByteStream, Fetch, UploadSource } from "./platform.ts";

/** The API takes no larger image. */
const MAX_BYTES = 20 * 1024 * 1024;

const tooLarge = () =>
	new MiniGPT4Error(
		"image_too_large",
		[
			`The image is over ${MAX_BYTES} bytes.`,
			"Scale it down; the model sees a few hundred pixels a side.",
		].join(" "),
	);

/**
 * Reads the whole image.
 *
 * @throws MiniGPT4Error `image_too_large`, `file_unreadable`, `url_unreachable`
 */
export async function readImage(
	source: UploadSource,
	fetch: Fetch,
	signal: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>> {
	const bytes = bytesIn(source);
	if (bytes) return copyOf(bytes);
	if (typeof source !== "string") {
		if ("arrayBuffer" in source) {
			if (source.size > MAX_BYTES) throw tooLarge();
			return copyOf(new Uint8Array(await source.arrayBuffer()));
		}
		if ("getReader" in source || Symbol.asyncIterator in source)
			return collect(source as ByteStream, signal);
		if (!("href" in source))
			throw new MiniGPT4Error(
				"file_unreadable",
				"This value is not an image. Pass a path, a URL, a Blob, a File, bytes or a stream.",
			);
	}
	const text = String(source);
	if (/^(https?|data|blob):/i.test(text)) return download(text, fetch, signal);
	return readFile(text);
}

async function download(
	url: string,
	fetch: Fetch,
	signal: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>> {
	const response = await fetch(url, { signal }).catch((cause) => {
		signal.throwIfAborted();
		throw new MiniGPT4Error(
			"url_unreachable",
			"The image's URL does not answer.",
			{ cause },
		);
	});
	if (!response.ok || !response.body)
		throw new MiniGPT4Error(
			"url_unreachable",
			`The image's URL answered ${response.status}.`,
		);
	return collect(response.body as ByteStream, signal);
}

/** Reads a stream, and stops once it exceeds the size limit. */
async function collect(
	stream: ByteStream,
	signal: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>> {
	const reader = readerOf(stream);
	const stop = () => void reader.cancel(signal.reason).catch(() => {});
	signal.addEventListener("abort", stop);
	const chunks: Uint8Array[] = [];
	let size = 0;
	try {
		for (;;) {
			signal.throwIfAborted();
			const { done, value } = await reader.read();
			signal.throwIfAborted();
			if (done) break;
			const chunk = bytesIn(value);
			if (!chunk) throw new TypeError("The stream does not yield bytes.");
			chunks.push(chunk);
			size += chunk.length;
			if (size > MAX_BYTES) throw tooLarge();
		}
	} catch (cause) {
		stop();
		signal.throwIfAborted();
		if (cause instanceof MiniGPT4Error) throw cause;
		throw new MiniGPT4Error("file_unreadable", (cause as Error).message, {
			cause,
		});
	} finally {
		signal.removeEventListener("abort", stop);
	}
	const bytes = new Uint8Array(size);
	let at = 0;
	for (const chunk of chunks) {
		bytes.set(chunk, at);
		at += chunk.length;
	}
	return bytes;
}

/** Looks `node:fs` up at run time, so that the package imports nothing that browsers lack. */
async function readFile(path: string): Promise<Uint8Array<ArrayBuffer>> {
	const fs = (
		globalThis as {
			process?: {
				getBuiltinModule?: (name: string) => {
					stat: (path: string | URL) => Promise<{ size: number }>;
					readFile: (path: string | URL) => Promise<Uint8Array<ArrayBuffer>>;
				};
			};
		}
	).process?.getBuiltinModule?.("node:fs/promises");
	if (!fs)
		throw new MiniGPT4Error(
			"file_unreadable",
			"This platform has no files. Pass a Blob, a File, bytes, a stream or a URL.",
		);
	const location = path.startsWith("file:") ? new URL(path) : path;
	try {
		const { size } = await fs.stat(location);
		if (size <= MAX_BYTES) return await fs.readFile(location);
	} catch (cause) {
		throw new MiniGPT4Error("file_unreadable", (cause as Error).message, {
			cause,
		});
	}
	throw tooLarge();
}

/** Copies the bytes, so that the caller may change theirs while the upload runs. */
function copyOf(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
	if (bytes.length > MAX_BYTES) throw tooLarge();
	return new Uint8Array(bytes);
}

export type ImageType = "image/jpeg" | "image/png" | "image/webp" | "image/gif";

/**
 * Tells the type from the first bytes, because file names and declared types are often wrong.
 *
 * @throws MiniGPT4Error `image_type_unsupported`
 */
export function imageTypeOf(bytes: Uint8Array): ImageType {
	const head = String.fromCharCode(...bytes.subarray(0, 12));
	if (head.startsWith("\xff\xd8\xff")) return "image/jpeg";
	if (head.startsWith("\x89PNG\r\n\x1a\n")) return "image/png";
	if (/^RIFF....WEBP/s.test(head)) return "image/webp";
	if (/^GIF8[79]a/.test(head)) return "image/gif";
	throw new MiniGPT4Error(
		"image_type_unsupported",
		"The bytes are not a JPEG, PNG, WebP or GIF image.",
	);
}
