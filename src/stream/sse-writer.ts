/** Writes a log's events as server-sent events. Runs in the Worker. */

import type { LogEvent } from "../contract/job.ts";
import type { EventConsumer, Follow, Follower } from "./follower.ts";
import { lastResult } from "./last-result.ts";
import { closeArguments, type Presence } from "./presence.ts";
import { CLOSE_SATISFIED } from "./readers.ts";

/** Longest time without a byte. Only a write shows that a client is gone. */
const PING_MS = 10_000;
/** Bytes that the Worker buffers for a slow client. Further events stay in the log. */
const BUFFER_BYTES = 256 * 1024;
/** The least that an event counts in the buffer, so that it holds at most 1,000 events. */
const EVENT_BYTES = BUFFER_BYTES / 1_000;
/** Frames that are ready are written as one chunk, up to about this length. */
const CHUNK_LENGTH = 16 * 1024;
/**
 * A client that reads nothing from a full buffer for this long is disconnected. It can resume after
 * the last `id` that it saw.
 */
const STALL_MS = 60_000;
// Some common parsers fail on a block without `data:`. So these lines never end a block: they begin
// the block of the next event.
const RETRY = "retry: 1000\n";
export const PING = ": ping\n";

export const EVENT_STREAM_HEADERS = {
	"Content-Type": "text/event-stream; charset=utf-8",
	"Cache-Control": "no-store",
	"X-Accel-Buffering": "no",
} as const;

const utf8 = new TextEncoder();

export interface EventStreamOptions {
	/** Connects the follower that feeds the stream; null where `opening` is the whole stream. */
	follow: (consumer: EventConsumer) => Follower | null;
	/**
	 * The request's signal. When the client leaves, this signal and the stream's `cancel` fire, in
	 * either order.
	 */
	signal: AbortSignal;
	/** The text of an event; empty for one that the stream leaves out. */
	frame?: (event: LogEvent) => string;
	/** Written at once: some proxies forward the headers only with the first byte. */
	opening?: string;
	/** Lines before the first event. */
	prefix?: string;
	/** Written where the log is erased while the client reads it. */
	erasedFrame?: string;
	/** The longest time without a byte, in milliseconds, except from a stalled client. */
	pingMs?: number;
	/** A client that reads nothing from a full buffer for this long is disconnected. */
	stallMs?: number;
	/** Set where a client that hangs up can only repeat its call; null where it can resume. */
	presence?: Presence | null;
}

/**
 * A response body with a log's events until `done`. The stream survives restarts of the object that
 * holds the log, and disconnects from it when the client leaves. It ends without `done` where the
 * client stalls or the log is erased.
 */
export function eventStream(
	options: EventStreamOptions,
): ReadableStream<Uint8Array> {
	const source = new EventStreamSource(options);
	const stream = new ReadableStream<Uint8Array>(source);
	const { signal } = options;
	signal.addEventListener("abort", () => source.cancel());
	if (signal.aborted) source.cancel();
	return stream;
}

/**
 * Passes events from the follower to the client, no faster than the client reads. It buffers events
 * itself, because those in a stream's own queue could not be dropped.
 */
class EventStreamSource implements UnderlyingSource<Uint8Array>, EventConsumer {
	readonly #options: Required<EventStreamOptions>;
	#follower: Follower | null = null;
	#ping: ReturnType<typeof setInterval> | undefined;
	#stall: ReturnType<typeof setTimeout> | undefined;
	#controller: ReadableStreamDefaultController<Uint8Array> | undefined;
	#frames: string[] = [];
	/** Bytes of the buffer that are free. */
	#free = BUFFER_BYTES;
	#prefix: string;
	#writtenAt = 0;
	#state: "flowing" | "paused" | "ended" = "flowing";

	constructor(options: EventStreamOptions) {
		this.#options = {
			frame,
			opening: PING,
			prefix: RETRY,
			erasedFrame: "",
			pingMs: PING_MS,
			stallMs: STALL_MS,
			presence: null,
			...options,
		};
		this.#prefix = this.#options.prefix;
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
			const isQuiet = Date.now() - this.#writtenAt >= pingMs / 2;
			if (isQuiet && this.#clientReads) this.#write(PING);
		}, pingMs / 2);
	}

	/** The client has read something. */
	pull(): void {
		this.#clearStall();
		this.#flush();
		if (this.#state !== "paused" || this.#free < BUFFER_BYTES / 2) return;
		this.#state = "flowing";
		this.#follower?.resume();
	}

	/** The client left. A repeat does nothing. */
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
			const text = this.#prefix + framed;
			const weight = weightOf(text);
			// An event that is larger than the buffer passes through it when it is empty.
			if (weight > this.#free && this.#free < BUFFER_BYTES) break;
			this.#prefix = "";
			this.#frames.push(text);
			this.#free -= weight;
			taken++;
		}
		if (taken < events.length) {
			this.#state = "paused";
			this.#follower?.pause();
		} else if (events.at(-1)?.type === "done") this.#end();
		this.#flush();
		return taken;
	}

	/** The log was erased: no more events come. */
	onErased(): void {
		const { erasedFrame } = this.#options;
		if (erasedFrame) this.#frames.push(erasedFrame);
		this.#end();
		this.#flush();
	}

	get #clientReads(): boolean {
		return (this.#controller?.desiredSize ?? 0) > 0;
	}

	#flush(): void {
		while (this.#clientReads && this.#frames.length > 0) {
			let chunk = "";
			do {
				const text = this.#frames.shift() as string;
				this.#free += weightOf(text);
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
			} catch {} // It is closed already, or the client left.
	}

	#end(): void {
		this.#state = "ended";
		this.#clearStall();
		clearInterval(this.#ping);
		this.#follower?.close(...closeArguments(this.#options.presence));
	}

	#clearStall(): void {
		clearTimeout(this.#stall);
		this.#stall = undefined;
	}

	#write(text: string): void {
		try {
			this.#controller?.enqueue(encode(text));
			this.#writtenAt = Date.now();
			this.#options.presence?.wrote();
		} catch {
			this.cancel(); // The client has just left.
		}
	}
}

/**
 * Waits for the end of a job, at most `ms`.
 * @param presence set where the job is canceled when the client hangs up
 * @returns whether the job ended
 */
export function waitForDone(
	follow: Follow,
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
		const follower = follow({
			take(events) {
				if (events.at(-1)?.type === "done") end(true);
				return events.length;
			},
			onErased: () => end(false),
		});
		const left = () => end(false, ...closeArguments(presence));
		signal.addEventListener("abort", left);
		if (signal.aborted) left();
	});
}

const weightOf = (frame: string): number => Math.max(frame.length, EVENT_BYTES);

export const frame = lastResult(
	({ seq, type, data }: LogEvent): string =>
		`id: ${seq}\nevent: ${type}\ndata: ${data}\n\n`,
);

/** Several streams may hold the same bytes; none changes them. */
const encode = lastResult((text: string) => utf8.encode(text));
