import { sha256 } from "./bytes.ts";
import { CorsError, MiniGPT4Error } from "./errors.ts";
import { imageTypeOf, readImage } from "./image.ts";
import { type Page, Paged } from "./paged.ts";
import type { Fetch, FetchInit, UploadSource } from "./platform.ts";
import { timeLimit } from "./timing.ts";
import { type CallOptions, optionsOf, type Transport } from "./transport.ts";
import type { Upload } from "./types.ts";

/** Images up to this size pass through the API; larger ones go straight to the bucket. */
const MAX_DIRECT_BYTES = 4 * 1024 * 1024;
const CHUNK_BYTES = 64 * 1024;
const PROBE_MS = 10_000;

/** How far an upload is. */
export interface Progress {
	/** Bytes sent so far. Starts again at 0 when a try fails. */
	loaded: number;
	/** Bytes to send. */
	total: number;
}

export interface UploadOptions extends CallOptions {
	/**
	 * Called at the start and at the end and, in Node, for every 64 KiB that the socket takes. Other
	 * runtimes, and a `fetch` that the caller passes, do not report how much of a body is sent.
	 */
	onProgress?: ((progress: Progress) => void) | undefined;
}

/** Images that are stored for jobs: `client.uploads`. An upload is kept for 30 days. */
export class Uploads {
	readonly #transport: Transport;

	/** @internal */
	constructor(transport: Transport) {
		this.#transport = transport;
	}

	/**
	 * Uploads an image of at most 20 MB. The API has checked it when this resolves, and jobs can use
	 * it.
	 *
	 * @throws MiniGPT4Error `image_too_large`, `image_type_unsupported`, `file_unreadable`,
	 * `url_unreachable`, `insecure_context`; CorsError, APIError
	 * @example
	 * ```ts
	 * const upload = await client.uploads.create("samples/cat.jpg", {
	 * 	onProgress: ({ loaded, total }) => console.log(`${loaded} of ${total} bytes`),
	 * });
	 * const job = await client.jobs.run({
	 * 	images: [{ upload: upload.id }],
	 * 	prompt: "What is in this picture?",
	 * 	temperature: 0,
	 * });
	 * console.log(upload.id, job.output.text);
	 * ```
	 */
	async create(
		source: UploadSource,
		{ onProgress = () => {}, ...options }: UploadOptions = {},
	): Promise<Upload> {
		const transport = this.#transport;
		const { totalTimeout = transport.defaults.totalTimeout, ...rest } =
			optionsOf(options);
		// One limit on all calls of the upload, not one on each.
		const { signal, clear } = timeLimit(options.signal, totalTimeout);
		const callOptions = { ...rest, signal };
		try {
			const bytes = await readImage(source, transport.fetch, signal);
			const type = imageTypeOf(bytes);
			const total = bytes.length;
			const body = () =>
				bodyWithProgress(bytes, onProgress, transport.usesPlatformFetch);
			const upload =
				total <= MAX_DIRECT_BYTES
					? await transport.json<Upload>({
							...callOptions,
							method: "POST",
							path: "/v1/uploads",
							body,
							headers: { "Content-Type": type, ...contentLength(total) },
						})
					: await this.#putIntoBucket(callOptions, type, bytes, body);
			onProgress({ loaded: total, total });
			return upload;
		} finally {
			clear();
		}
	}

	/** Asks the API for a presigned URL, puts the bytes there, and lets the API check them. */
	async #putIntoBucket(
		callOptions: CallOptions,
		content_type: string,
		bytes: Uint8Array<ArrayBuffer>,
		body: () => unknown,
	): Promise<Upload> {
		const transport = this.#transport;
		const hash = await sha256(bytes);
		if (!hash)
			throw new MiniGPT4Error(
				"insecure_context",
				"Images over 4 MB can be uploaded only from a page that was loaded over HTTPS.",
			);
		const pending = await transport.json<Upload>({
			...callOptions,
			method: "POST",
			path: "/v1/uploads",
			json: { content_type, bytes: bytes.length, sha256: hash },
		});
		if (!pending.put) throw new Error("The API sent no URL to upload to.");
		const { url } = pending.put;
		// The signature covers these headers. The platform sets Content-Length itself.
		const { "Content-Length": _, ...headers } = pending.put.headers;
		await transport.open({
			...callOptions,
			method: "PUT",
			path: url,
			body,
			headers: { ...headers, ...contentLength(bytes.length) },
			diagnose: async (error, signal) =>
				(await isBlockedByCors(transport.fetch, url, headers, signal))
					? new CorsError(new URL(url).origin, `${pageOrigin()}`, error)
					: null,
		});
		return transport.json({
			...callOptions,
			method: "POST",
			path: `/v1/uploads/${pending.id}/finalize`,
		});
	}

	/**
	 * Lists the account's uploads, newest first. Images that were sent along with a job are not
	 * included.
	 *
	 * @param options `limit` is the size of a page, 1 to 100; `cursor` starts at a later page
	 * @example
	 * ```ts
	 * await client.uploads.create("samples/coffee.jpg");
	 * for await (const upload of client.uploads.list())
	 * 	console.log(upload.id, upload.status, upload.bytes);
	 * ```
	 */
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

	/**
	 * Gets an upload: its status, type, size in bytes and in pixels.
	 *
	 * @throws NotFoundError, GoneError
	 * @example
	 * ```ts
	 * const { id } = await client.uploads.create("samples/cat.jpg");
	 * const { width, height, created_at } = await client.uploads.get(id);
	 * console.log(`${id}: ${width} × ${height}, uploaded at ${created_at}`);
	 * ```
	 */
	get(id: string, options?: CallOptions): Promise<Upload> {
		const path = `/v1/uploads/${encodeURIComponent(id)}`;
		return this.#transport.json({ ...optionsOf(options), path });
	}

	/**
	 * Deletes an upload. New jobs cannot use it from now on; a job that uses it already keeps the
	 * image until it ends.
	 *
	 * @throws NotFoundError
	 * @example
	 * ```ts
	 * const { id } = await client.uploads.create("samples/cat.jpg");
	 * await client.uploads.delete(id);
	 * console.log("Deleted", id);
	 * ```
	 */
	delete(id: string, options?: CallOptions): Promise<void> {
		return this.#transport.json({
			...optionsOf(options),
			method: "DELETE",
			path: `/v1/uploads/${encodeURIComponent(id)}`,
		});
	}
}

/** The origin of the page, or of the page's worker, that this code runs in. */
const pageOrigin = (): string | undefined =>
	(globalThis as { location?: { origin?: string } }).location?.origin;

/**
 * Whether the browser blocked a page's PUT because the bucket's CORS rule does not allow the page.
 * The browser tells scripts only that the request failed. Two probes that do not touch the object
 * find out more: a PUT without a body, which has the same preflight and which the signature
 * refuses; and a `no-cors` request, which needs no permission and shows whether the bucket answers.
 */
async function isBlockedByCors(
	fetch: Fetch,
	url: string,
	headers: Record<string, string>,
	signal: AbortSignal,
): Promise<boolean> {
	const page = pageOrigin();
	if (!page || page === new URL(url).origin) return false;
	const probe = timeLimit(signal, PROBE_MS);
	const answers = (init: FetchInit) =>
		fetch(url, { ...init, signal: probe.signal }).then(
			() => true,
			() => false,
		);
	try {
		return (
			!(await answers({ method: "PUT", headers })) &&
			(await answers({ mode: "no-cors" }))
		);
	} finally {
		probe.clear();
	}
}

/** Only Node sends a Content-Length with a stream, and the bucket requires one. */
const inNode =
	typeof (globalThis as { process?: { versions?: { undici?: string } } })
		.process?.versions?.undici === "string";

const contentLength = (total: number): Record<string, string> =>
	inNode ? { "Content-Length": String(total) } : {};

/** Returns a body that reports its progress where the platform can do so. */
function bodyWithProgress(
	bytes: Uint8Array<ArrayBuffer>,
	onProgress: (progress: Progress) => void,
	usesPlatformFetch: boolean,
): Uint8Array | ReadableStream {
	const total = bytes.length;
	onProgress({ loaded: 0, total });
	// A package's `fetch` may not accept the platform's streams.
	if (!inNode || !usesPlatformFetch) return bytes;
	let at = 0;
	return new ReadableStream<Uint8Array>(
		{
			pull(controller) {
				if (at) onProgress({ loaded: at, total });
				if (at === total) return controller.close();
				const chunk = bytes.subarray(at, at + CHUNK_BYTES);
				at += chunk.length;
				controller.enqueue(chunk);
			},
		},
		// Reads nothing before the socket asks for it.
		{ highWaterMark: 0 },
	);
}
