/** A stream of numbered events that survives broken connections. */
import { ForeignAnswerError, StreamError } from "./errors.ts";
import type { ByteStream } from "./platform.ts";
import { serverSentEvents } from "./sse.ts";
import { backoff, sleep } from "./timing.ts";
import { type Call, optionsOf, type Transport } from "./transport.ts";

/** The API writes at least every 10 s, so a connection that is silent for longer is dead. */
const IDLE_MS = 30_000;

export interface NumberedEvent {
	seq: number;
	type: string;
	data: unknown;
}

/** @internal */
export interface FollowOptions {
	/** Returns the call that answers with the events after this sequence number. */
	callAfter: (after: number) => Call;
	/** Sequence number of the last event already seen. */
	after: number;
	/** Whether events are missing between the last one seen and the next one received. */
	isGap: (after: number, seq: number) => boolean;
	/** Connections in a row that may end without an event before the stream fails. */
	maxEmptyConnections: number;
	signal: AbortSignal;
}

/**
 * Yields each event once and in order. Ends where the API says that there are no more (204).
 *
 * @throws StreamError `stream_broken`
 * @internal
 */
export async function* follow(
	transport: Transport,
	{ callAfter, after, isGap, maxEmptyConnections, signal }: FollowOptions,
): AsyncGenerator<NumberedEvent> {
	for (let emptyConnections = 0; ; emptyConnections++) {
		const call = callAfter(after);
		const response = await transport.open({
			...call,
			...optionsOf({ ...call, signal }),
			headers: { ...call.headers, Accept: "text/event-stream" },
		});
		if (response.status === 204) return;
		const type = response.headers.get("Content-Type");
		if (!response.body || !type?.startsWith("text/event-stream"))
			throw new ForeignAnswerError(transport.baseURL);
		try {
			const body = response.body as ByteStream;
			for await (const { id, type, data } of serverSentEvents(body, IDLE_MS)) {
				const seq = Number(id);
				// Skips repeats of events already seen, and events without a number.
				if (!(seq > after)) continue;
				// Reconnects, to ask for the missing events.
				if (isGap(after, seq)) break;
				const event = { seq, type, data: JSON.parse(data) };
				after = seq;
				emptyConnections = -1;
				yield event;
			}
		} catch {
			// The connection broke. An abort ends the stream; anything else reconnects.
			signal.throwIfAborted();
		}
		if (emptyConnections >= maxEmptyConnections)
			throw new StreamError(
				"stream_broken",
				[
					`${emptyConnections} connections in a row brought no event.`,
					`Continue later after event ${after}.`,
				].join(" "),
			);
		await sleep(backoff(Math.max(0, emptyConnections)), signal);
	}
}
