/**
 * What the client takes from the platform, by its shape: objects of any realm and of any package fit, and no library of types
 * is needed to read this one's.
 */

/** An `AbortSignal`. */
export interface Signal {
	readonly aborted: boolean;
	readonly reason?: unknown;
	addEventListener(
		type: "abort",
		listener: () => void,
		options?: { once?: boolean },
	): void;
}

/** A `ReadableStream` of bytes, or what can be iterated: Node's streams, and what comes from packages. */
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

/** A path (in Node, Deno and Bun), a URL that this program can fetch (`https:`, `data:`, `file:`), a Blob or File, bytes, or a stream of bytes. */
export type UploadSource =
	| string
	| UrlLike
	| BlobLike
	| ArrayBuffer
	| ArrayBufferView
	| ByteStream;

/** What `fetch` is given. Every platform's and package's takes it. */
export interface FetchInit {
	method?: string;
	headers?: Record<string, string>;
	// biome-ignore-start lint/suspicious/noExplicitAny: each names these types in its own way
	body?: any;
	signal?: any;
	mode?: any;
	// biome-ignore-end lint/suspicious/noExplicitAny: as above
	duplex?: "half";
}

/** A `Response`, as far as it is read. */
export interface Answer {
	readonly ok: boolean;
	readonly status: number;
	readonly headers: { get(name: string): string | null };
	readonly body: unknown;
	text(): Promise<string>;
	json(): Promise<unknown>;
}

export type Fetch = (url: string, init: FetchInit) => Promise<Answer>;
