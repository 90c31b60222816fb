/** A job's events as a caller reads them: server-sent events, held by the Worker. */

import type { LogEvent } from "../contract/job.ts";
import { Follower, type Open, type Taker } from "./follower.ts";
import type { Presence } from "./presence.ts";
import { CONTENT, HUNG_UP } from "./readers.ts";

/** A client that is gone is noticed only by writing to it. */
const PING_MS = 10_000;
/** Bytes kept for a client that reads slowly; past it the rest waits in the log. */
const BUFFER_BYTES = 256 * 1024;
/** What an event counts at least, so that no more than 1,000 are kept. */
const EVENT_BYTES = BUFFER_BYTES / 1_000;
/** Frames that are ready go out together, until they are so long. */
const CHUNK_LENGTH = 16 * 1024;
/** A client that took nothing of a full buffer for so long is hung up on. It has its place: the last `id` it saw. */
const STALL_MS = 60_000;
// A block without `data:` ends or breaks some common parsers, so none is written: these lines open the block of the event
// that comes next.
const RETRY = "retry: 1000\n";
export const PING = ": ping\n";

export const EVENT_STREAM_HEADERS = {
	"Content-Type": "text/event-stream; charset=utf-8",
	"Cache-Control": "no-store",
	"X-Accel-Buffering": "no",
} as const;

const utf8 = new TextEncoder();

/**
 * The events after `after`, until `done`. Survives the Job's restarts; ends its socket when the client goes. Breaks without
 * `done` where the client stalls, or the job is erased.
 * @param first the opener's 101 answer for `after`
 * @param framed the bytes of an event; none for one that is passed over
 * @param signal the request's: it and `cancel` both tell of a client that left, either may come first
 * @param presence of a client whose call can only be repeated when it is hung up on; null where it may come back to its place
 */
export function eventStream(
	open: Open,
	first: Response,
	after: number,
	signal: AbortSignal,
	pingMs: number = PING_MS,
	stallMs: number = STALL_MS,
	framed: (event: LogEvent) => string = frame,
	presence: Presence | null = null,
): ReadableStream<Uint8Array> {
	const source = new Source(
		...[open, first, after, pingMs, stallMs, framed, presence],
	);
	const stream = new ReadableStream<Uint8Array>(source);
	signal.addEventListener("abort", () => source.cancel());
	if (signal.aborted) source.cancel();
	return stream;
}

/** From the follower to the client, no faster than it reads. What waits is kept here, so that it can be let go. */
class Source implements UnderlyingSource<Uint8Array>, Taker {
	readonly #follow: () => Follower;
	readonly #pingMs: number;
	readonly #stallMs: number;
	readonly #framed: (event: LogEvent) => string;
	readonly #presence: Presence | null;
	#follower: Follower | undefined;
	#ping: ReturnType<typeof setInterval> | undefined;
	#stall: ReturnType<typeof setTimeout> | undefined;
	#controller: ReadableStreamDefaultController<Uint8Array> | undefined;
	#frames: string[] = [];
	/** Room that is left for frames. */
	#room = BUFFER_BYTES;
	/** What goes ahead of the first event. */
	#ahead = RETRY;
	#state: "flowing" | "paused" | "ended" = "flowing";

	constructor(
		open: Open,
		first: Response,
		after: number,
		pingMs: number,
		stallMs: number,
		framed: (event: LogEvent) => string,
		presence: Presence | null,
	) {
		this.#follow = () => new Follower(open, first, after, this);
		this.#pingMs = pingMs;
		this.#stallMs = stallMs;
		this.#framed = framed;
		this.#presence = presence;
	}

	start(controller: ReadableStreamDefaultController<Uint8Array>): void {
		this.#controller = controller;
		// Some that stand in between send nothing on before there is a byte.
		this.#write(PING);
		this.#follower = this.#follow();
		this.#ping = setInterval(() => {
			if (this.#wanted) this.#write(PING);
		}, this.#pingMs);
	}

	/** The client has read something. */
	pull(): void {
		this.#rest();
		this.#flush();
		if (this.#state !== "paused" || this.#room < BUFFER_BYTES / 2) return;
		this.#state = "flowing";
		this.#follower?.resume();
	}

	/** The client left. Harmless to repeat. */
	cancel(): void {
		this.#frames = [];
		this.#end();
	}

	take(events: LogEvent[]): number {
		let taken = 0;
		for (const event of events) {
			const framed = this.#framed(event);
			if (framed === "") {
				taken++;
				continue;
			}
			const text = this.#ahead + framed;
			const weight = weigh(text);
			// One that is larger than the buffer goes through it all the same.
			if (weight > this.#room && this.#room < BUFFER_BYTES) break;
			this.#ahead = "";
			this.#frames.push(text);
			this.#room -= weight;
			taken++;
		}
		if (taken < events.length) {
			this.#state = "paused";
			this.#follower?.pause();
		} else if (events.at(-1)?.type === "done") this.#end();
		this.#flush();
		return taken;
	}

	/** Nothing more will come. */
	gone(): void {
		this.#end();
		this.#flush();
	}

	get #wanted(): boolean {
		return (this.#controller?.desiredSize ?? 0) > 0;
	}

	#flush(): void {
		while (this.#wanted && this.#frames.length > 0) {
			let chunk = "";
			do {
				const text = this.#frames.shift() as string;
				this.#room += weigh(text);
				chunk += text;
			} while (this.#frames.length > 0 && chunk.length < CHUNK_LENGTH);
			this.#write(chunk);
		}
		if (this.#frames.length > 0)
			this.#stall ??= setTimeout(() => {
				this.#frames = [];
				this.gone();
			}, this.#stallMs);
		else if (this.#state === "ended")
			try {
				this.#controller?.close();
			} catch {} // closed already, or the client left
	}

	#end(): void {
		this.#state = "ended";
		this.#rest();
		clearInterval(this.#ping);
		this.#follower?.close(...closing(this.#presence));
	}

	#rest(): void {
		clearTimeout(this.#stall);
		this.#stall = undefined;
	}

	#write(text: string): void {
		try {
			this.#controller?.enqueue(utf8.encode(text));
		} catch {
			this.cancel(); // the client left in this very turn
		}
	}
}

/** How a reader's socket is closed when its client is gone. */
const closing = (
	presence: Presence | null,
): [code?: number, reason?: string] =>
	presence ? [HUNG_UP, String(presence.ago)] : [];

/**
 * Waits for `done`, at most `ms`.
 * @param presence of a client whose job ends when it hangs up
 * @returns whether the job ended
 */
export function untilDone(
	open: Open,
	first: Response,
	ms: number,
	signal: AbortSignal,
	presence: Presence | null = null,
): Promise<boolean> {
	return new Promise((resolve) => {
		const end = (done: boolean, ...how: [code?: number, reason?: string]) => {
			clearTimeout(timer);
			follower.close(...how);
			resolve(done);
		};
		const timer = setTimeout(() => end(false, CONTENT), ms);
		const follower = new Follower(open, first, 0, {
			take(events) {
				if (events.at(-1)?.type === "done") end(true);
				return events.length;
			},
			gone: () => end(false),
		});
		const left = () => end(false, ...closing(presence));
		signal.addEventListener("abort", left);
		if (signal.aborted) left();
	});
}

const weigh = (frame: string): number => Math.max(frame.length, EVENT_BYTES);

export const frame = ({ seq, type, data }: LogEvent): string =>
	`id: ${seq}\nevent: ${type}\ndata: ${data}\n\n`;
