/** A job's events as a caller reads them: server-sent events, held by the Worker. */
import type { LogEvent } from "./contract.ts";
import { Follower, type Open } from "./follow.ts";
import { CONTENT } from "./readers.ts";

/** A client that is gone is noticed only by writing to it. */
const PING_MS = 10_000;
/** Bytes kept for a client that reads slowly; past it the rest waits in the log. */
const BUFFER_BYTES = 256 * 1024;
/** What an event counts at least, so that no more than 1,000 are kept. */
const EVENT_BYTES = BUFFER_BYTES / 1_000;
/** A client that took nothing of a full buffer for so long is hung up on. It has its place: the last `id` it saw. */
const STALL_MS = 60_000;
const RETRY = "retry: 1000\n\n";
const PING = ": ping\n\n";

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
 * @param signal the request's: it and `cancel` both tell of a client that left, either may come first
 */
export function eventStream(
	open: Open,
	first: Response,
	after: number,
	signal: AbortSignal,
	pingMs: number = PING_MS,
	stallMs: number = STALL_MS,
): ReadableStream<Uint8Array> {
	let follower: Follower | undefined;
	let ping: ReturnType<typeof setInterval> | undefined;
	let stall: ReturnType<typeof setTimeout> | undefined;
	/** Events in the chunk that is being written. */
	let count = 0;
	const stop = () => {
		clearInterval(ping);
		clearTimeout(stall);
		follower?.close();
	};
	return new ReadableStream<Uint8Array>(
		{
			start(controller) {
				const room = () => controller.desiredSize ?? 0;
				const write = (text: string, events: number): boolean => {
					count = events;
					try {
						controller.enqueue(utf8.encode(text));
						return true;
					} catch {
						stop(); // the client left in this very turn
						return false;
					}
				};
				const end = () => {
					stop();
					try {
						controller.close();
					} catch {} // the client left
				};
				const take = (events: LogEvent[]): number => {
					const frames = fitting(events, room());
					if (!write(frames.join(""), frames.length)) return 0;
					if (events[frames.length - 1]?.type === "done") end();
					else if (room() <= 0) {
						follower?.pause();
						stall = setTimeout(() => {
							stop();
							controller.error(new Error("the client stalled"));
						}, stallMs);
					}
					return frames.length;
				};
				write(RETRY, 0);
				follower = new Follower(open, first, after, { take, gone: end });
				ping = setInterval(() => {
					if (room() > 0) write(PING, 0);
				}, pingMs);
				signal.addEventListener("abort", stop);
				if (signal.aborted) stop();
			},
			pull() {
				clearTimeout(stall);
				follower?.resume();
			},
			cancel: stop,
		},
		{
			highWaterMark: BUFFER_BYTES,
			// Whole numbers: workerd cuts off the rest.
			size: (chunk) => Math.ceil(Math.max(chunk.length, count * EVENT_BYTES)),
		},
	);
}

/**
 * Waits for `done`, at most `ms`.
 * @returns whether the job ended
 */
export function untilDone(
	open: Open,
	first: Response,
	ms: number,
	signal: AbortSignal,
): Promise<boolean> {
	return new Promise((resolve) => {
		const end = (done: boolean, code?: number) => {
			clearTimeout(timer);
			follower.close(code);
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
		signal.addEventListener("abort", () => end(false));
	});
}

/** As many as there is room for, one at least. */
function fitting(events: LogEvent[], room: number): string[] {
	const frames: string[] = [];
	let left = room;
	for (const event of events) {
		const text = frame(event);
		left -= Math.max(text.length, EVENT_BYTES);
		if (frames.length > 0 && left < 0) break;
		frames.push(text);
	}
	return frames;
}

const frame = ({ seq, type, data }: LogEvent): string =>
	`id: ${seq}\nevent: ${type}\ndata: ${data}\n\n`;
