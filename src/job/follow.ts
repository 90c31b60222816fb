/** Follows a job's log through whatever drops in between: evictions, deploys, restarts. Runs in the Worker. */
import type { Env } from "../env.ts";
import type { LogEvent } from "./contract.ts";
import { RESYNC } from "./readers.ts";

const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 2_000;

/** Asks the Job for a socket from which events after `after` will come; see `Job.fetch` for its other answers. */
export type Open = (after: number) => Promise<Response>;

export const opener =
	(env: Env, account: string, job: string): Open =>
	(after) =>
		// A new stub each time: one that failed stays broken.
		env.JOB.get(env.JOB.idFromName(`${account}/${job}`)).fetch(
			`http://job/?after=${after}`,
			{ headers: { Upgrade: "websocket" } },
		);

export class Follower {
	readonly #open: Open;
	readonly #onEvents: (events: LogEvent[]) => void;
	#last: number;
	#socket: WebSocket | null = null;
	#connecting = false;
	#state: "flowing" | "paused" | "closed" = "flowing";
	#failures = 0;
	#retry: ReturnType<typeof setTimeout> | undefined;

	/**
	 * @param first the opener's 101 answer for `after`
	 * @param onEvents gets every event once and in order, `done` last
	 */
	constructor(
		open: Open,
		first: Response,
		after: number,
		onEvents: (events: LogEvent[]) => void,
	) {
		this.#open = open;
		this.#onEvents = onEvents;
		this.#last = after;
		this.#attach(first.webSocket as WebSocket);
	}

	/** Hangs up until `resume`; the log keeps what comes meanwhile. */
	pause(): void {
		if (this.#state !== "flowing") return;
		this.#state = "paused";
		this.#detach();
	}

	resume(): void {
		if (this.#state !== "paused") return;
		this.#state = "flowing";
		void this.#connect();
	}

	/** For good. Harmless to repeat. */
	close(): void {
		this.#state = "closed";
		this.#detach();
	}

	async #connect(): Promise<void> {
		if (this.#connecting || this.#state !== "flowing" || this.#socket) return;
		this.#connecting = true;
		try {
			const { webSocket } = await this.#open(this.#last);
			if (!webSocket) throw new Error("no socket");
			if (this.#state === "flowing") this.#attach(webSocket);
			else {
				webSocket.accept();
				webSocket.close(1000);
			}
		} catch {
			this.#later();
		}
		this.#connecting = false;
	}

	#attach(socket: WebSocket): void {
		this.#socket = socket;
		const lost = () => {
			if (this.#socket !== socket) return;
			this.#socket = null;
			this.#later();
		};
		socket.accept();
		socket.addEventListener("message", ({ data }) => {
			if (this.#socket === socket) this.#take(socket, String(data));
		});
		socket.addEventListener("close", lost);
		socket.addEventListener("error", lost);
		socket.send(String(this.#last));
	}

	#detach(): void {
		clearTimeout(this.#retry);
		const socket = this.#socket;
		this.#socket = null;
		try {
			socket?.close(1000);
		} catch {} // closed already
	}

	#later(): void {
		if (this.#state !== "flowing") return;
		const wait = Math.min(
			LONGEST_WAIT_MS,
			FIRST_WAIT_MS * 2 ** this.#failures++,
		);
		clearTimeout(this.#retry);
		this.#retry = setTimeout(() => void this.#connect(), wait);
	}

	#take(socket: WebSocket, message: string): void {
		if (message === RESYNC) {
			socket.send(String(this.#last));
			return;
		}
		const fresh: LogEvent[] = [];
		for (const event of JSON.parse(message) as LogEvent[]) {
			// Replay and live overlap where the Job's instance changed.
			if (event.seq <= this.#last) continue;
			if (event.seq !== this.#last + 1) {
				socket.send(String(this.#last));
				break;
			}
			this.#last = event.seq;
			fresh.push(event);
		}
		if (fresh.length === 0) return;
		this.#failures = 0;
		if (fresh.at(-1)?.type === "done") this.close();
		this.#onEvents(fresh);
	}
}
