/** The sockets of those who follow an account's feed. */
import { Readers } from "../stream/readers.ts";
import { feedLog, lastSeq } from "./feed.ts";

export class FeedSockets {
	readonly #ctx: DurableObjectState;
	#readers: Readers;

	/** @param exists whether the account has tables */
	constructor(ctx: DurableObjectState, exists: boolean) {
		this.#ctx = ctx;
		const published = exists ? lastSeq(ctx.storage.sql) : 0;
		this.#readers = new Readers(ctx.getWebSockets(), published);
	}

	/** See `Readers.accept`. */
	accept(request: Request): Response {
		const feed = this.#feed();
		// While nobody reads, nothing is published: the first reader begins where the feed is now.
		if (!this.#readers.hasAny) this.#readers = new Readers([], feed.lastSeq);
		return this.#readers.accept(this.#ctx, feed, false, request);
	}

	onMessage(socket: WebSocket, message: unknown): void {
		this.#readers.onMessage(socket, message, this.#feed());
		this.publish();
	}

	remove(socket: WebSocket): void {
		this.#readers.remove(socket);
	}

	/**
	 * Sends new events to the readers. Nobody waits for it: storage that cannot sync resets the
	 * object by itself.
	 */
	publish(): void {
		if (!this.#readers.hasAny) return;
		this.#readers.publish(this.#ctx.storage, this.#feed()).catch(() => {});
	}

	#feed() {
		return feedLog(this.#ctx.storage.sql);
	}
}
