/** A job's events as a caller reads them: server-sent events, held by the Worker. */

import type { LogEvent } from "../contract/job.ts";
import { type EventConsumer, Follower, type OpenLog } from "./follower.ts";
import { closing, type Presence } from "./presence.ts";
import { CLOSE_SATISFIED } from "./readers.ts";

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

export interface EventStreamOptions {
	/** Starts or takes over the follower that feeds the stream; null where `opening` holds all there is. */
	follow: (taker: EventConsumer) => Follower | null;
	/** The request's. It and `cancel` both tell that the client left; either may come first. */
	signal: AbortSignal;
	/** The text of an event; empty for one that the stream leaves out. */
	frame?: (event: LogEvent) => string;
	/** Goes out at once. Some proxies send no headers on before there is a byte. */
	opening?: string;
	/** Lines ahead of the first event. */
	ahead?: string;
	/** Goes out where the log is erased while it is read. */
	erased?: string;
	/** The longest time without a byte, in milliseconds, except from a stalled client. */
	pingMs?: number;
	/** A client that takes nothing of a full buffer for this long is disconnected. */
	stallMs?: number;
	/** Set where a client that hangs up can only repeat its call; null where it may resume. */
	presence?: Presence | null;
}

/**
 * A log's events until `done`, as a response body. It survives restarts of the object that holds
 * the log, and closes its socket when the client leaves. It ends without `done` where the client
 * stalls or the log is erased.
 */
export function eventStream(
	options: EventStreamOptions,
): ReadableStream<Uint8Array> {
	const source = new Source(options);
	const stream = new ReadableStream<Uint8Array>(source);
	const { signal } = options;
	signal.addEventListener("abort", () => source.cancel());
	if (signal.aborted) source.cancel();
	return stream;
}

/**
 * Passes events from the follower to the client, no faster than the client reads. Events that wait
 * are kept here, and not in the stream, so that they can be dropped.
 */
class Source implements UnderlyingSource<Uint8Array>, EventConsumer {
	readonly #options: Required<EventStreamOptions>;
	#follower: Follower | null = null;
	#ping: ReturnType<typeof setInterval> | undefined;
	#stall: ReturnType<typeof setTimeout> | undefined;
	#controller: ReadableStreamDefaultController<Uint8Array> | undefined;
	#frames: string[] = [];
	/** Room that is left for frames. */
	#room = BUFFER_BYTES;
	#ahead: string;
	#wroteAt = 0;
	#state: "flowing" | "paused" | "ended" = "flowing";

	constructor(options: EventStreamOptions) {
		this.#options = {
			frame,
			opening: PING,
			ahead: RETRY,
			erased: "",
			pingMs: PING_MS,
			stallMs: STALL_MS,
			presence: null,
			...options,
		};
		this.#ahead = this.#options.ahead;
	}

	start(controller: ReadableStreamDefaultController<Uint8Array>): void {
		const { follow, opening, pingMs } = this.#options;
		this.#controller = controller;
		this.#write(opening);
		this.#follower = follow(this);
		if (!this.#follower) {
			this.#state = "ended";
			this.#flush();
			return;
		}
		this.#ping = setInterval(() => {
			const isQuiet = Date.now() - this.#wroteAt >= pingMs / 2;
			if (isQuiet && this.#wanted) this.#write(PING);
		}, pingMs / 2);
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
			const framed = this.#options.frame(event);
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

	/** The log was erased: nothing more will come. */
	onErased(): void {
		const { erased } = this.#options;
		if (erased) this.#frames.push(erased);
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
				this.#end();
				this.#flush();
			}, this.#options.stallMs);
		else if (this.#state === "ended")
			try {
				this.#controller?.close();
			} catch {} // closed already, or the client left
	}

	#end(): void {
		this.#state = "ended";
		this.#rest();
		clearInterval(this.#ping);
		this.#follower?.close(...closing(this.#options.presence));
	}

	#rest(): void {
		clearTimeout(this.#stall);
		this.#stall = undefined;
	}

	#write(text: string): void {
		try {
			this.#controller?.enqueue(utf8.encode(text));
			this.#wroteAt = Date.now();
			this.#options.presence?.wrote();
		} catch {
			this.cancel(); // the client left in this very turn
		}
	}
}

/**
 * Waits for `done`, at most `ms`.
 * @param presence of a client whose job ends when it hangs up
 * @returns whether the job ended
 */
export function untilDone(
	open: OpenLog,
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
		const timer = setTimeout(() => end(false, CLOSE_SATISFIED), ms);
		const follower = new Follower(open, first, 0, {
			take(events) {
				if (events.at(-1)?.type === "done") end(true);
				return events.length;
			},
			onErased: () => end(false),
		});
		const left = () => end(false, ...closing(presence));
		signal.addEventListener("abort", left);
		if (signal.aborted) left();
	});
}

const weigh = (frame: string): number => Math.max(frame.length, EVENT_BYTES);

export const frame = ({ seq, type, data }: LogEvent): string =>
	`id: ${seq}\nevent: ${type}\ndata: ${data}\n\n`;
