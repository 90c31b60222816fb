import { sha256 } from "./digest.ts";
import { CorsError, MiniGPT4Error } from "./errors.ts";
import { bytesOf, typeOf } from "./image.ts";
import { limit } from "./limit.ts";
import { type Page, Paged } from "./paged.ts";
import type { Fetch, FetchInit, UploadSource } from "./platform.ts";
import { type CallOptions, optionsOf, type Transport } from "./transport.ts";
import type { Upload } from "./types.ts";

/** Bytes that pass through the API in one call; more go straight to the store. */
const AT_ONCE = 4 * 1024 * 1024;
const CHUNK = 64 * 1024;
const PROBE_MS = 10_000;

export interface Progress {
	/** Bytes sent. Starts again where a try failed. */
	loaded: number;
	total: number;
}

export interface UploadOptions extends CallOptions {
	/**
	 * Told at the start, at the end and, in Node, with every 64 KiB that the socket took. `fetch` tells no other runtime,
	 * and nobody who passes a `fetch` of theirs, how far a body of known length has come.
	 */
	onProgress?: ((progress: Progress) => void) | undefined;
}

/** Images on their way to jobs. */
export class Uploads {
	readonly #transport: Transport;

	/** @internal */
	constructor(transport: Transport) {
		this.#transport = transport;
	}

	/**
	 * Uploads an image of up to 20 MB, and checks it. Ready for jobs when this resolves.
	 * @throws MiniGPT4Error `image_too_large`, `image_type_unsupported`, `file_unreadable`, `url_unreachable`; APIError
	 */
	async create(
		source: UploadSource,
		{ onProgress = () => {}, ...options }: UploadOptions = {},
	): Promise<Upload> {
		const transport = this.#transport;
		const { totalTimeout = transport.defaults.totalTimeout, ...each } =
			optionsOf(options);
		const { signal, end } = limit(options.signal, totalTimeout);
		const call = { ...each, signal };
		try {
			const bytes = await bytesOf(source, transport.fetch, signal);
			const type = typeOf(bytes);
			const total = bytes.length;
			const body = () => tracked(bytes, onProgress, transport.isPlatforms);
			let upload: Upload;
			if (total <= AT_ONCE)
				upload = await transport.json({
					...call,
					...{ method: "POST", path: "/v1/uploads", body },
					headers: { "Content-Type": type, ...lengthOf(total) },
				});
			else {
				const pending = await this.#announce(call, type, bytes);
				if (!pending.put) throw new Error("no URL to PUT to");
				// What the signature covers; the platform sets the length by itself.
				const { "Content-Length": _, ...headers } = pending.put.headers;
				const { url } = pending.put;
				await transport.open({
					...call,
					...{ method: "PUT", path: url, body },
					headers: { ...headers, ...lengthOf(total) },
					lost: async (error, signal) =>
						(await isBlocked(transport.fetch, url, headers, signal))
							? new CorsError(new URL(url).origin, `${pageOrigin()}`, error)
							: null,
				});
				upload = await transport.json({
					...call,
					...{ method: "POST", path: `/v1/uploads/${pending.id}/finalize` },
				});
			}
			onProgress({ loaded: total, total });
			return upload;
		} finally {
			end();
		}
	}

	async #announce(
		call: CallOptions,
		content_type: string,
		bytes: Uint8Array<ArrayBuffer>,
	): Promise<Upload> {
		const hash = await sha256(bytes);
		if (!hash)
			throw new MiniGPT4Error(
				"insecure_context",
				"Images over 4 MB can only be uploaded from a page that came by HTTPS.",
			);
		return this.#transport.json({
			...call,
			...{ method: "POST", path: "/v1/uploads" },
			json: { content_type, bytes: bytes.length, sha256: hash },
		});
	}

	/** The account's uploads, newest first; images that came along with a job are not among them. */
	list({
		limit,
		cursor,
		...options
	}: CallOptions & {
		limit?: number;
		cursor?: string;
	} = {}): Paged<Upload> {
		return new Paged((next = cursor) =>
			this.#transport.json<Page<Upload>>({
				...optionsOf(options),
				path: "/v1/uploads",
				query: { limit, cursor: next },
			}),
		);
	}

	get(id: string, options?: CallOptions): Promise<Upload> {
		const path = `/v1/uploads/${encodeURIComponent(id)}`;
		return this.#transport.json({ ...optionsOf(options), path });
	}

	/** It is gone at once for new jobs; a job that holds the image keeps it until it ends. */
	delete(id: string, options?: CallOptions): Promise<void> {
		const path = `/v1/uploads/${encodeURIComponent(id)}`;
		return this.#transport.json({
			...optionsOf(options),
			...{ method: "DELETE", path },
		});
	}
}

/** Of the page, or the worker of one, that this runs in. */
const pageOrigin = (): string | undefined =>
	(globalThis as { location?: { origin?: string } }).location?.origin;

/**
 * Whether it was the browser that ended a page's PUT, because the store does not let the page in: it tells scripts no more
 * than that no answer came. So the store is asked what does not touch the object: a PUT without bytes, which the signature
 * refuses, has the same preflight; and what needs no leave tells whether the store is there at all.
 */
async function isBlocked(
	fetch: Fetch,
	url: string,
	headers: Record<string, string>,
	signal: AbortSignal,
): Promise<boolean> {
	const page = pageOrigin();
	if (!page || page === new URL(url).origin) return false;
	const bound = limit(signal, PROBE_MS);
	const answers = (init: FetchInit) =>
		fetch(url, { ...init, signal: bound.signal }).then(
			() => true,
			() => false,
		);
	try {
		return (
			!(await answers({ method: "PUT", headers })) &&
			(await answers({ mode: "no-cors" }))
		);
	} finally {
		bound.end();
	}
}

/** Only Node sends a stream with a length, which the store insists on. */
const inNode =
	typeof (globalThis as { process?: { versions?: { undici?: string } } })
		.process?.versions?.undici === "string";

const lengthOf = (total: number): Record<string, string> =>
	inNode ? { "Content-Length": String(total) } : {};

/** The bytes as a body that tells how far it has come. */
function tracked(
	bytes: Uint8Array<ArrayBuffer>,
	onProgress: (progress: Progress) => void,
	isPlatforms: boolean,
): Uint8Array | ReadableStream {
	const total = bytes.length;
	onProgress({ loaded: 0, total });
	// A package's fetch need not know the platform's streams.
	if (!inNode || !isPlatforms) return bytes;
	let at = 0;
	return new ReadableStream<Uint8Array>(
		{
			pull(controller) {
				if (at) onProgress({ loaded: at, total });
				if (at === total) return controller.close();
				const chunk = bytes.subarray(at, at + CHUNK);
				at += chunk.length;
				controller.enqueue(chunk);
			},
		},
		// Nothing is read before the socket asks for it.
		{ highWaterMark: 0 },
	);
}
