/**
 * A bucket in memory behind `http://s3.test`, where `fetch` would reach the S3 server. The
 * end-to-end tests check signatures.
 */
import { afterAll, vi } from "vitest";
import { config } from "../../src/env.ts";

import { bindings } from "./account.ts";

export interface StoredObject {
	bytes: Uint8Array<ArrayBuffer>;
	contentType: string | null;
}

export class Bucket {
	readonly objects = new Map<string, StoredObject>();
	/** While set, every call answers with this status. */
	broken: number | null = null;
	/** Other hosts that tests fetch from. */
	readonly pages = new Map<string, () => Response>();
	/** URLs asked outside of the bucket. */
	readonly asked: string[] = [];

	async fetch(request: Request): Promise<Response> {
		const url = new URL(request.url);
		const { S3_ENDPOINT, S3_BUCKET } = config(bindings);
		if (url.origin !== new URL(S3_ENDPOINT).origin) {
			this.asked.push(request.url);
			const page = this.pages.get(request.url);
			if (!page) throw new TypeError("connection refused");
			return page();
		}
		if (this.broken) return new Response(null, { status: this.broken });
		const key = url.pathname.slice(`/${S3_BUCKET}/`.length);
		const found = this.objects.get(key);
		switch (request.method) {
			case "PUT":
				this.objects.set(key, {
					bytes: new Uint8Array(await request.arrayBuffer()),
					contentType: request.headers.get("Content-Type"),
				});
				return new Response(null);
			case "GET":
				return found
					? new Response(found.bytes)
					: new Response(null, { status: 404 });
			case "DELETE":
				this.objects.delete(key);
				return new Response(null, { status: 204 });
			default:
				return new Response(null, { status: 405 });
		}
	}

	keys(prefix = ""): string[] {
		return [...this.objects.keys()].filter((key) => key.startsWith(prefix));
	}
}

/** An empty bucket, until the next one. */
export function bucket(): Bucket {
	const made = new Bucket();
	vi.spyOn(globalThis, "fetch").mockImplementation((input, init) =>
		made.fetch(
			new Request(input as RequestInfo, init as RequestInit) as Request,
		),
	);
	return made;
}

// Not after each test: alarms of its accounts may still ring.
afterAll(() => vi.restoreAllMocks());
