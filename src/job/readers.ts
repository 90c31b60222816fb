/** The readers of one job: hibernatable WebSockets of the Workers that hold the callers' streams. */
import type { LogEvent } from "./contract.ts";
import type { EventLog } from "./log.ts";
import type { JobRecord } from "./record.ts";

/** One job feeds this many; more are told to come back (measured to 2,000). */
const MAX_READERS = 4_000;
const REPLAY_CHUNK = 256;

export class Readers {
	readonly #live = new Set<WebSocket>();

	/**
	 * Takes over the sockets that outlived the instance before. What it had not sent is unknown, so each reader is asked
	 * to say where it stands.
	 */
	constructor(sockets: WebSocket[]) {
		for (const socket of sockets) {
			if (socket.deserializeAttachment() === null) continue;
			this.#live.add(socket);
			this.#send(socket, RESYNC);
		}
	}

	get size(): number {
		return this.#live.size;
	}

	/**
	 * Takes a reader whose last event is `?after=<seq>`: 101 with its socket, 416 where the log does not reach so far,
	 * 204 where it has all there will ever be, 503 where there are too many.
	 */
	accept(
		ctx: DurableObjectState,
		{ log, state }: JobRecord,
		request: Request,
	): Response {
		const after = Number(new URL(request.url).searchParams.get("after"));
		const { lastSeq } = log;
		if (after > lastSeq) return Response.json({ lastSeq }, { status: 416 });
		if (after === lastSeq && state.phase === "finished")
			return new Response(null, { status: 204 });
		if (this.size >= MAX_READERS) return new Response(null, { status: 503 });
		const { 0: client, 1: server } = new WebSocketPair();
		ctx.acceptWebSocket(server);
		return new Response(null, { status: 101, webSocket: client });
	}

	/** Replay and joining are one synchronous turn: no event can slip in between. */
	join(socket: WebSocket, log: EventLog, after: number, shown: number): void {
		for (let from = after; from < shown; ) {
			const events = log.between(from, shown, REPLAY_CHUNK);
			this.#send(socket, JSON.stringify(events));
			from = events.at(-1)?.seq ?? shown;
		}
		socket.serializeAttachment({ joined: true });
		this.#live.add(socket);
	}

	/** Sends to every live reader; a reader that cannot take it is dropped and comes back by itself. */
	broadcast(events: LogEvent[]): void {
		const message = JSON.stringify(events);
		for (const socket of this.#live) this.#send(socket, message);
	}

	leave(socket: WebSocket): void {
		this.#live.delete(socket);
	}

	#send(socket: WebSocket, message: string): void {
		try {
			socket.send(message);
		} catch {
			this.#live.delete(socket);
		}
	}
}

/** What the Job sends instead of events when a reader must say where it stands. */
export const RESYNC = '"resync"';
