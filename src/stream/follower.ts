/**
 * Follows a log from the Worker, and reconnects after evictions, deploys and restarts of the object
 * that holds it.
 *
 * Runs in the Worker, as stream/ does; readers.ts runs in the Job and Account objects.
 */

import type { LogEvent } from "../contract/job.ts";
import { jobOf } from "../objects.ts";
import { lastResult } from "./last-result.ts";
import { PAUSE, RESYNC } from "./readers.ts";

/** Waits before it reconnects: doubled after each failure, up to the longest. */
const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 2_000;

/**
 * Requests a socket that will carry the events after `after`. `Readers.accept` lists the other
 * answers.
 */
export type OpenLog = (after: number) => Promise<Response>;

export const openJobLog =
	(env: Env, account: string, job: string): OpenLog =>
	(after) =>
		jobOf(env, account, job).fetch(`http://job/?after=${after}`, {
			headers: { Upgrade: "websocket" },
		});

export interface EventConsumer {
	/**
	 * Receives every event once and in order, `done` last.
	 * @returns how many events it took; the rest come again after `pause` and `resume`
	 */
	take(events: LogEvent[]): number;
	/** The log was erased: no more events come. */
	onErased(): void;
}

export class Follower {
	readonly #open: OpenLog;
	#consumer: EventConsumer;
	/** Sequence number of the last event that the consumer took. */
	#last: number;
	#socket: WebSocket | null = null;
	#connecting = false;
	#state: "flowing" | "paused" | "closed" = "flowing";
	#failures = 0;
	#retry: ReturnType<typeof setTimeout> | undefined;

	/** @param first the 101 response of `open(after)` */
	constructor(
		open: OpenLog,
		first: Response,
		after: number,
		consumer: EventConsumer,
	) {
		this.#open = open;
		this.#consumer = consumer;
		this.#last = after;
		this.#attach(first.webSocket as WebSocket);
	}

	/** The new consumer receives all further events. */
	replaceConsumer(consumer: EventConsumer): void {
		this.#consumer = consumer;
	}

	/**
	 * Receives no events until `resume`. The log keeps them, and the socket stays open, so that the
	 * job knows that it has a reader.
	 */
	pause(): void {
		if (this.#state !== "flowing") return;
		this.#state = "paused";
		this.#send(PAUSE);
	}

	resume(): void {
		if (this.#state !== "paused") return;
		this.#state = "flowing";
		this.#send(String(this.#last));
	}

	/**
	 * Stops for good. A repeat does nothing.
	 * @param code tells the job why, see `CLOSE_SATISFIED` and `CLOSE_HUNG_UP`
	 */
	close(code = 1000, reason = ""): void {
		this.#state = "closed";
		clearTimeout(this.#retry);
		const socket = this.#socket;
		this.#socket = null;
		try {
			socket?.close(code, reason);
		} catch {} // It is closed already.
	}

	async #connect(): Promise<void> {
		if (this.#connecting || this.#state === "closed" || this.#socket) return;
		this.#connecting = true;
		try {
			const { status, webSocket } = await this.#open(this.#last);
			if (status === 404) {
				this.close();
				this.#consumer.onErased();
			} else if (!webSocket) throw new Error(`opened with ${status}`);
			else this.#attach(webSocket);
		} catch {
			this.#reconnectLater();
		}
		this.#connecting = false;
	}

	#attach(socket: WebSocket): void {
		socket.accept();
		if (this.#state === "closed") {
			socket.close(1000);
			return;
		}
		this.#socket = socket;
		const lost = () => {
			if (this.#socket !== socket) return;
			this.#socket = null;
			this.#reconnectLater();
		};
		socket.addEventListener("message", ({ data }) => {
			if (this.#socket === socket) this.#onMessage(String(data));
		});
		socket.addEventListener("close", lost);
		socket.addEventListener("error", lost);
		if (this.#state === "flowing") this.#send(String(this.#last));
	}

	/** A message that cannot be sent is sent by the next connection. */
	#send(message: string): void {
		try {
			this.#socket?.send(message);
		} catch {}
	}

	#reconnectLater(): void {
		if (this.#state === "closed") return;
		const wait = Math.min(
			LONGEST_WAIT_MS,
			FIRST_WAIT_MS * 2 ** this.#failures++,
		);
		clearTimeout(this.#retry);
		this.#retry = setTimeout(() => void this.#connect(), wait);
	}

	#onMessage(message: string): void {
		if (this.#state !== "flowing") return;
		if (message === RESYNC) {
			this.#send(String(this.#last));
			return;
		}
		const events = eventsIn(message);
		const fresh: LogEvent[] = [];
		let next = this.#last + 1;
		for (const event of events) {
			// Replayed and live events overlap where the object restarted.
			if (event.seq !== next) continue;
			fresh.push(event);
			next++;
		}
		if (fresh.length > 0) this.#deliver(fresh);
		else if (events.some(({ seq }) => seq > this.#last))
			this.#send(String(this.#last)); // Events between were lost.
	}

	#deliver(events: LogEvent[]): void {
		this.#failures = 0;
		const taken = this.#consumer.take(events);
		const last = events[taken - 1];
		this.#last = last?.seq ?? this.#last;
		if (last?.type === "done") this.close();
	}
}

const eventsIn = lastResult((message: string): readonly LogEvent[] =>
	JSON.parse(message),
);

/**
 * Follows a log for whichever consumer comes.
 * @param first the 101 response of `open(after)`
 */
export const followLog =
	(open: OpenLog, first: Response, after: number) =>
	(consumer: EventConsumer): Follower =>
		new Follower(open, first, after, consumer);
