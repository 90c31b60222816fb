/** A job's events as a caller reads them: server-sent events, held by the Worker. */
import type { LogEvent } from "./contract.ts";
import { Follower, type Open } from "./follow.ts";

/** A client that is gone is noticed only by writing to it. */
const PING_MS = 10_000;
/** Bytes kept for a client that reads slowly; past it the rest waits in the log. */
const BUFFER_BYTES = 256 * 1024;
const RETRY = "retry: 1000\n\n";
const PING = ": ping\n\n";

export const EVENT_STREAM_HEADERS = {
	"Content-Type": "text/event-stream; charset=utf-8",
	"Cache-Control": "no-store",
	"X-Accel-Buffering": "no",
} as const;

const utf8 = new TextEncoder();

/**
 * The events after `after`, until `done`. Survives the Job's restarts; ends its socket when the client goes.
 * @param first the opener's 101 answer for `after`
 * @param signal the request's: it and `cancel` both tell of a client that left, either may come first
 */
export function eventStream(
	open: Open,
	first: Response,
	after: number,
	signal: AbortSignal,
	pingMs: number = PING_MS,
): ReadableStream<Uint8Array> {
	let follower: Follower | undefined;
	let ping: ReturnType<typeof setInterval> | undefined;
	const stop = () => {
		clearInterval(ping);
		follower?.close();
	};
	return new ReadableStream<Uint8Array>(
		{
			start(controller) {
				const write = (text: string) => {
					try {
						controller.enqueue(utf8.encode(text));
					} catch {
						stop(); // the client left in this very turn
					}
				};
				write(RETRY);
				follower = new Follower(open, first, after, (events) => {
					write(events.map(frame).join(""));
					if (events.at(-1)?.type === "done") {
						stop();
						controller.close();
					} else if ((controller.desiredSize ?? 0) <= 0) follower?.pause();
				});
				ping = setInterval(() => {
					if ((controller.desiredSize ?? 0) > 0) write(PING);
				}, pingMs);
				signal.addEventListener("abort", stop);
				if (signal.aborted) stop();
			},
			pull() {
				follower?.resume();
			},
			cancel: stop,
		},
		new ByteLengthQueuingStrategy({ highWaterMark: BUFFER_BYTES }),
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
		const end = (done: boolean) => {
			clearTimeout(timer);
			follower.close();
			resolve(done);
		};
		const timer = setTimeout(() => end(false), ms);
		const follower = new Follower(open, first, 0, (events) => {
			if (events.at(-1)?.type === "done") end(true);
		});
		signal.addEventListener("abort", () => end(false));
	});
}

const frame = ({ seq, type, data }: LogEvent): string =>
	`id: ${seq}\nevent: ${type}\ndata: ${data}\n\n`;
