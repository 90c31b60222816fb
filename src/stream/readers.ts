/** The readers of one log: hibernatable WebSockets of the Workers that hold the callers' streams. */
import type { LogEvent } from "../contract/job.ts";

/** One log feeds this many; more are told to come back (measured to 2,000). */
const MAX_READERS = 4_000;

/** What the Job sends instead of events when a reader must say where it stands. */
export const RESYNC = '"resync"';
/** What a reader sends to be sent nothing until it says where it stands. */
export const PAUSE = "pause";
/** Close code of a reader that is not lost: it waited as long as it wanted to. */
export const CLOSE_SATISFIED = 4000;
/** Close code of a reader whose client hung up on a call; the reason says how long ago that may have been, in milliseconds. */
export const CLOSE_HUNG_UP = 4001;

/** What a socket's end says of its reader. */
export function disconnectOf(code: number, reason: string): Disconnect {
	switch (code) {
		case CLOSE_SATISFIED:
			return { how: "content" };
		case CLOSE_HUNG_UP:
			return { how: "hungUp", ago: Number(reason) || 0 };
		default:
			return { how: "lost" };
	}
}

/** A job's events, or an account's. */
export interface ReadableLog {
	/** 0 in an empty log. */
	readonly lastSeq: number;
	/** Events after `from` up to `upTo`, as many as fit into one message; at least one where there is any. */
	between(from: number, upTo: number): LogEvent[];
}

export class Readers {
	/** All that are connected; those that are live get what comes. */
	readonly #present: Set<WebSocket>;
	readonly #live = new Set<WebSocket>();
	/** Last event that is durable and was sent to the live readers. */
	#shown: number;

	/**
	 * Takes over the sockets that outlived the instance before. What it had not sent is unknown, so each live reader is
	 * asked to say where it stands.
	 */
	constructor(sockets: WebSocket[], shown: number) {
		this.#present = new Set(sockets);
		this.#shown = shown;
		for (const socket of sockets) {
			if (socket.deserializeAttachment() === null) continue;
			this.#live.add(socket);
			this.#send(socket, RESYNC);
		}
	}

	/** Live readers. */
	get size(): number {
		return this.#live.size;
	}

	/** Whether anybody is connected, live or not. */
	get any(): boolean {
		return this.#present.size > 0;
	}

	/**
	 * Takes a reader whose last event is `?after=<seq>`: 101 with its socket, 416 where the log does not reach so far,
	 * 204 where it has all there will ever be, 503 where there are too many.
	 */
	accept(
		ctx: DurableObjectState,
		{ lastSeq }: Pick<ReadableLog, "lastSeq">,
		ended: boolean,
		request: Request,
	): Response {
		const after = Number(new URL(request.url).searchParams.get("after"));
		if (after > lastSeq) return Response.json({ lastSeq }, { status: 416 });
		if (after === lastSeq && ended) return new Response(null, { status: 204 });
		if (this.#present.size >= MAX_READERS)
			return new Response(null, { status: 503 });
		const { 0: client, 1: server } = new WebSocketPair();
		ctx.acceptWebSocket(server);
		this.#present.add(server);
		return new Response(null, { status: 101, webSocket: client });
	}

	/** What a reader says. Replay and joining are one synchronous turn: no event can slip in between. */
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
		this.#present.delete(socket);
	}

	/** Shows what is in the log, once it is durable. */
	async publish(
		storage: DurableObjectStorage,
		log: ReadableLog,
	): Promise<void> {
		const upTo = log.lastSeq;
		await storage.sync();
		const from = this.#shown;
		if (upTo <= from) return;
		this.#shown = upTo;
		if (this.size === 0) return;
		for (const events of messages(log, from, upTo))
			for (const socket of this.#live) this.#send(socket, events);
	}

	/** Hangs up on all of them. */
	closeAll(): void {
		for (const socket of this.#present) socket.close(1000);
		this.#live.clear();
		this.#present.clear();
	}

	#pause(socket: WebSocket): void {
		socket.serializeAttachment(null);
		this.#live.delete(socket);
	}

	/** A reader that cannot take it is dropped and comes back by itself. */
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

/** How a job's last reader went. */
export type Disconnect =
	/** It waited for as long as it wanted to. */
	| { how: "content" }
	/** Its connection broke. It knows its place, and may come back to it. */
	| { how: "lost" }
	/** Its client hung up on a call that can only be repeated, at most `ago` milliseconds ago. */
	| { how: "hungUp"; ago: number };
