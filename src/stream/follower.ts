/** Follows a job's log through whatever drops in between: evictions, deploys, restarts. Runs in the Worker. */

import type { LogEvent } from "../contract/job.ts";
import { jobOf } from "../objects.ts";
import { PAUSE, RESYNC } from "./readers.ts";

const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 2_000;

/** Asks the Job for a socket from which events after `after` will come; see `Job.fetch` for its other answers. */
export type OpenLog = (after: number) => Promise<Response>;

export const openJobLog =
	(env: Env, account: string, job: string): OpenLog =>
	(after) =>
		jobOf(env, account, job).fetch(`http://job/?after=${after}`, {
			headers: { Upgrade: "websocket" },
		});

export interface EventConsumer {
	/**
	 * Gets every event once and in order, `done` last.
	 * @returns how many of them it took; the others come again after a pause
	 */
	take(events: LogEvent[]): number;
	/** The job was erased: nothing more will come. */
	onErased(): void;
}

export class Follower {
	readonly #open: OpenLog;
	#taker: EventConsumer;
	#last: number;
	#socket: WebSocket | null = null;
	#connecting = false;
	#state: "flowing" | "paused" | "closed" = "flowing";
	#failures = 0;
	#retry: ReturnType<typeof setTimeout> | undefined;

	/** @param first the opener's 101 answer for `after` */
	constructor(
		open: OpenLog,
		first: Response,
		after: number,
		taker: EventConsumer,
	) {
		this.#open = open;
		this.#taker = taker;
		this.#last = after;
		this.#attach(first.webSocket as WebSocket);
	}

	/** From now on `taker` gets what comes. */
	handTo(taker: EventConsumer): void {
		this.#taker = taker;
	}

	/** Stays connected, so that the job knows that somebody is there; the log keeps what comes meanwhile. */
	pause(): void {
		if (this.#state !== "flowing") return;
		this.#state = "paused";
		this.#say(PAUSE);
	}

	resume(): void {
		if (this.#state !== "paused") return;
		this.#state = "flowing";
		this.#say(String(this.#last));
	}

	/**
	 * For good. Harmless to repeat.
	 * @param code tells the job why, see `CONTENT` and `HUNG_UP`
	 */
	close(code = 1000, reason = ""): void {
		this.#state = "closed";
		clearTimeout(this.#retry);
		const socket = this.#socket;
		this.#socket = null;
		try {
			socket?.close(code, reason);
		} catch {} // closed already
	}

	async #connect(): Promise<void> {
		if (this.#connecting || this.#state === "closed" || this.#socket) return;
		this.#connecting = true;
		try {
			const { status, webSocket } = await this.#open(this.#last);
			if (status === 404) {
				this.close();
				this.#taker.onErased();
			} else if (!webSocket) throw new Error(`opened with ${status}`);
			else this.#attach(webSocket);
		} catch {
			this.#later();
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
			this.#later();
		};
		socket.addEventListener("message", ({ data }) => {
			if (this.#socket === socket) this.#hear(String(data));
		});
		socket.addEventListener("close", lost);
		socket.addEventListener("error", lost);
		if (this.#state === "flowing") this.#say(String(this.#last));
	}

	/** What cannot be said is said again by the next connection. */
	#say(message: string): void {
		try {
			this.#socket?.send(message);
		} catch {}
	}

	#later(): void {
		if (this.#state === "closed") return;
		const wait = Math.min(
			LONGEST_WAIT_MS,
			FIRST_WAIT_MS * 2 ** this.#failures++,
		);
		clearTimeout(this.#retry);
		this.#retry = setTimeout(() => void this.#connect(), wait);
	}

	#hear(message: string): void {
		if (this.#state !== "flowing") return;
		if (message === RESYNC) {
			this.#say(String(this.#last));
			return;
		}
		const events = JSON.parse(message) as LogEvent[];
		const fresh: LogEvent[] = [];
		let next = this.#last + 1;
		for (const event of events) {
			// Replay and live overlap where the Job's instance changed.
			if (event.seq !== next) continue;
			fresh.push(event);
			next++;
		}
		if (fresh.length > 0) this.#take(fresh);
		else if (events.some(({ seq }) => seq > this.#last))
			this.#say(String(this.#last)); // what lies between was lost
	}

	#take(events: LogEvent[]): void {
		this.#failures = 0;
		const taken = this.#taker.take(events);
		const last = events[taken - 1];
		this.#last = last?.seq ?? this.#last;
		if (last?.type === "done") this.close();
	}
}

/**
 * Starts to follow a log.
 * @param first the opener's 101 answer for `after`
 */
export const followLog =
	(open: OpenLog, first: Response, after: number) =>
	(taker: EventConsumer): Follower =>
		new Follower(open, first, after, taker);
