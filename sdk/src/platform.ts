/**
 * What the client uses of the platform, described by its shape. Objects from any realm and any
 * package fit, and the declarations need neither DOM's nor Node's types.
 */

/** An `AbortSignal`. */
export interface SignalLike {
	readonly aborted: boolean;
	readonly reason?: unknown;
	addEventListener(
		type: "abort",
		listener: () => void,
		options?: { once?: boolean },
	): void;
}

/** A `ReadableStream` of bytes, or any async iterable of them, such as a Node stream. */
export type ByteStream = WebStream | AsyncIterable<Uint8Array>;

export interface WebStream {
	getReader(): {
		read(): Promise<{ done: boolean; value?: Uint8Array | undefined }>;
		cancel(reason?: unknown): Promise<unknown>;
	};
}

/** A `Blob` or `File`. */
export interface BlobLike {
	readonly size: number;
	arrayBuffer(): Promise<ArrayBuffer>;
}

/** A `URL`. */
export interface UrlLike {
	readonly href: string;
}

/**
 * An image to upload: a path (in Node, Deno and Bun), a URL that this program can fetch (`https:`,
 * `data:`, `file:`), a Blob or File, bytes, or a stream of bytes.
 */
export type UploadSource =
	| string
	| UrlLike
	| BlobLike
	| ArrayBuffer
	| ArrayBufferView
	| ByteStream;

/** The options that the client passes to `fetch`. */
export interface FetchInit {
	method?: string;
	headers?: Record<string, string>;
	// biome-ignore-start lint/suspicious/noExplicitAny: each platform has its own types for these
	body?: any;
	signal?: any;
	mode?: any;
	// biome-ignore-end lint/suspicious/noExplicitAny: as above
	duplex?: "half";
}

/** The part of a `Response` that the client reads. */
export interface ResponseLike {
	readonly ok: boolean;
	readonly status: number;
	readonly headers: { get(name: string): string | null };
	readonly body: unknown;
	text(): Promise<string>;
	json(): Promise<unknown>;
}

/** A `fetch` function, of the platform or of a package. */
export type Fetch = (url: string, init: FetchInit) => Promise<ResponseLike>;
