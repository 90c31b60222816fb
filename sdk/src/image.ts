/** An image on its way to the API: its bytes, wherever they come from. */
import { bytesIn, readerOf } from "./bytes.ts";
import { MiniGPT4Error } from "./errors.ts";
import type { ByteStream, Fetch, UploadSource } from "./platform.ts";

/** What the API takes of one image. */
const MOST_BYTES = 20 * 1024 * 1024;

const tooLarge = () =>
	new MiniGPT4Error(
		"image_too_large",
		`The image is over ${MOST_BYTES} bytes. Scale it down; the model sees a few hundred pixels a side.`,
	);

/** Its bytes, all of them. @throws MiniGPT4Error `image_too_large`, `file_unreadable`, `url_unreachable` */
export async function bytesOf(
	source: UploadSource,
	fetch: Fetch,
	signal: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>> {
	const bytes = bytesIn(source);
	if (bytes) return checked(bytes);
	if (typeof source !== "string") {
		if ("arrayBuffer" in source) {
			if (source.size > MOST_BYTES) throw tooLarge();
			return checked(new Uint8Array(await source.arrayBuffer()));
		}
		if ("getReader" in source || Symbol.asyncIterator in source)
			return collect(source as ByteStream, signal);
		if (!("href" in source))
			throw new MiniGPT4Error(
				"file_unreadable",
				"This is no image. Pass a path, a URL, a Blob, a File, bytes or a stream.",
			);
	}
	const text = String(source);
	if (/^(https?|data|blob):/i.test(text)) return fetched(text, fetch, signal);
	return fileAt(text);
}

async function fetched(
	url: string,
	fetch: Fetch,
	signal: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>> {
	const answer = await fetch(url, { signal }).catch((cause) => {
		signal.throwIfAborted();
		throw new MiniGPT4Error(
			"url_unreachable",
			"The image's URL does not answer.",
			{ cause },
		);
	});
	if (!answer.ok || !answer.body)
		throw new MiniGPT4Error(
			"url_unreachable",
			`The image's URL answered ${answer.status}.`,
		);
	return collect(answer.body as ByteStream, signal);
}

/** A stream's bytes, no more of them than the API takes. */
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
			if (!chunk) throw new TypeError("The stream's pieces are no bytes.");
			chunks.push(chunk);
			size += chunk.length;
			if (size > MOST_BYTES) throw tooLarge();
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

/** Where there are files. Asked for by name at run time, so that nothing of Node is imported where there is no Node. */
async function fileAt(path: string): Promise<Uint8Array<ArrayBuffer>> {
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
			"There are no files here. Pass a Blob, a File, bytes, a stream or a URL.",
		);
	const at = path.startsWith("file:") ? new URL(path) : path;
	try {
		const { size } = await fs.stat(at);
		if (size <= MOST_BYTES) return await fs.readFile(at);
	} catch (cause) {
		throw new MiniGPT4Error("file_unreadable", (cause as Error).message, {
			cause,
		});
	}
	throw tooLarge();
}

/** A copy of our own, so that what the caller does to theirs meanwhile is theirs. */
function checked(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
	if (bytes.length > MOST_BYTES) throw tooLarge();
	return new Uint8Array(bytes);
}

export type ImageType = "image/jpeg" | "image/png" | "image/webp" | "image/gif";

/** By its first bytes: names and declared types are often wrong. @throws MiniGPT4Error `image_type_unsupported` */
export function typeOf(bytes: Uint8Array): ImageType {
	const head = String.fromCharCode(...bytes.subarray(0, 12));
	if (head.startsWith("\xff\xd8\xff")) return "image/jpeg";
	if (head.startsWith("\x89PNG\r\n\x1a\n")) return "image/png";
	if (/^RIFF....WEBP/s.test(head)) return "image/webp";
	if (/^GIF8[79]a/.test(head)) return "image/gif";
	throw new MiniGPT4Error(
		"image_type_unsupported",
		"The bytes are no JPEG, PNG, WebP or GIF image.",
	);
}
