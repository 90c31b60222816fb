/**
 * The readers of one log: hibernatable WebSockets from the Workers that serve the callers' streams.
 */
import type { LogEvent } from "../contract/job.ts";
import { sleep } from "../time.ts";

/** The most readers of one log; further ones get 503. Measured up to 2,000. */
const MAX_READERS = 4_000;
/**
 * So many readers are sent an event before the object lets other work run. All Workers of one
 * process share its thread with the object, so the bytes of these readers leave before the next
 * ones are sent theirs.
 */
const READERS_AT_ONCE = 100;

/** The object sends this instead of events to have a reader send its cursor. */
export const RESYNC = '"resync"';
/** A reader sends this to receive no events until it sends its cursor. */
export const PAUSE = "pause";
/** Close code of a reader that needs no more events. */
export const CLOSE_SATISFIED = 4000;
/**
 * Close code of a reader whose client hung up on a call. The close reason is how long ago that may
 * have been, in milliseconds.
 */
export const CLOSE_HUNG_UP = 4001;

/** How a reader left, by the close of its socket. */
export function disconnectOf(code: number, reason: string): Disconnect {
	switch (code) {
		case CLOSE_SATISFIED:
			return { how: "satisfied" };
		case CLOSE_HUNG_UP:
			return { how: "hungUp", agoMs: Number(reason) || 0 };
		default:
			return { how: "lost" };
	}
}

/** The events of a job, or the feed of an account. */
export interface ReadableLog {
	/** 0 in an empty log. */
	readonly lastSeq: number;
	/**
	 * The events after `from` up to `upTo`, as many as fit into one message; at least one where there
	 * is any.
	 */
	between(from: number, upTo: number): LogEvent[];
}

export class Readers {
	readonly #connected: Set<WebSocket>;
	/** The connected readers that receive events: not those that pause or have sent no cursor yet. */
	readonly #live = new Set<WebSocket>();
	/** Sequence number of the last event that the live readers are sent, at the latest now. */
	#shown: number;
	/** Sequence number of the last event that is known to be durable. */
	#durable: number;
	/** The last `publish` in progress; never rejects. */
	#publishing: Promise<void> = Promise.resolve();

	/**
	 * Adopts the sockets that outlived a restart of the object. What they were sent is unknown, so
	 * each live reader has to send its cursor.
	 */
	constructor(sockets: WebSocket[], shown: number) {
		this.#connected = new Set(sockets);
		this.#shown = this.#durable = shown;
		for (const socket of sockets) {
			if (socket.deserializeAttachment() === null) continue;
			this.#live.add(socket);
			this.#send(socket, RESYNC);
		}
	}

	/** The number of live readers. */
	get size(): number {
		return this.#live.size;
	}

	/** Whether any reader is connected, live or not. */
	get hasAny(): boolean {
		return this.#connected.size > 0;
	}

	/**
	 * Accepts a reader whose cursor is `?after=<seq>`: 101 with its socket; 416 where the log has no
	 * such event, 204 where the log has ended and the reader has all of it, 503 where there are too
	 * many readers.
	 */
	accept(
		ctx: DurableObjectState,
		{ lastSeq }: Pick<ReadableLog, "lastSeq">,
		hasEnded: boolean,
		request: Request,
	): Response {
		const after = Number(new URL(request.url).searchParams.get("after"));
		if (after > lastSeq) return Response.json({ lastSeq }, { status: 416 });
		if (after === lastSeq && hasEnded)
			return new Response(null, { status: 204 });
		if (this.#connected.size >= MAX_READERS)
			return new Response(null, { status: 503 });
		const { 0: client, 1: server } = new WebSocketPair();
		ctx.acceptWebSocket(server);
		this.#connected.add(server);
		return new Response(null, { status: 101, webSocket: client });
	}

	/**
	 * Handles a reader's message, its cursor or `PAUSE`. The replay and the start of live events are
	 * one synchronous step, so that no event falls in between.
	 */
	onMessage(socket: WebSocket, message: unknown, log: ReadableLog): void {
		const after = Number(message);
		if (message === PAUSE) this.#pause(socket);
		else if (!Number.isSafeInteger(after)) socket.close(1008);
		else {
			for (const events of messages(log, after, this.#shown))
				this.#send(socket, events);
			socket.serializeAttachment({ joined: true });
			this.#live.add(socket);
		}
	}

	remove(socket: WebSocket): void {
		this.#live.delete(socket);
		this.#connected.delete(socket);
	}

	/**
	 * Waits until the log is durable, then sends its new events to the live readers. Calls that come
	 * while events are sent become one.
	 */
	publish(storage: DurableObjectStorage, log: ReadableLog): Promise<void> {
		const upTo = log.lastSeq;
		const synced = storage.sync().then(() => {
			this.#durable = Math.max(this.#durable, upTo);
		});
		const before = this.#publishing;
		const publishing = synced.then(() => before).then(() => this.#sendNew(log));
		this.#publishing = publishing.catch(() => {});
		return publishing;
	}

	/** Resolves once the live readers are sent all that was published. */
	async published(): Promise<void> {
		let last: Promise<void> | null = null;
		while (last !== this.#publishing) {
			last = this.#publishing;
			await last;
		}
	}

	async #sendNew(log: ReadableLog): Promise<void> {
		const from = this.#shown;
		const upTo = this.#durable;
		if (upTo <= from) return;
		// A reader that joins from here on is sent these events as its replay. One that pauses and
		// resumes meanwhile may get them twice, and takes them once.
		this.#shown = upTo;
		if (this.size === 0) return;
		const unsent = [...messages(log, from, upTo)];
		let sent = 0;
		for (const socket of [...this.#live]) {
			if (sent++ > 0 && sent % READERS_AT_ONCE === 1) await sleep(0);
			if (!this.#live.has(socket)) continue;
			for (const events of unsent) this.#send(socket, events);
		}
	}

	/** Disconnects all readers. */
	closeAll(): void {
		for (const socket of this.#connected) socket.close(1000);
		this.#live.clear();
		this.#connected.clear();
	}

	#pause(socket: WebSocket): void {
		socket.serializeAttachment(null);
		this.#live.delete(socket);
	}

	/** A reader whose socket fails is dropped; its follower reconnects. */
	#send(socket: WebSocket, message: string): void {
		try {
			socket.send(message);
		} catch {
			this.#live.delete(socket);
		}
	}
}

function* messages(log: ReadableLog, after: number, upTo: number) {
	for (let from = after; from < upTo; ) {
		const events = log.between(from, upTo);
		yield JSON.stringify(events);
		from = events.at(-1)?.seq ?? upTo;
	}
}

/** How a reader disconnected. */
export type Disconnect =
	/** It needs no more events. */
	| { how: "satisfied" }
	/** Its connection broke. It has its cursor, and may reconnect. */
	| { how: "lost" }
	/** Its client hung up, at most `agoMs` milliseconds ago, on a call that it can only repeat. */
	| { how: "hungUp"; agoMs: number };
