/** A stream of numbered events that survives its connections. */
import { backoff, sleep } from "./backoff.ts";
import { ForeignAnswerError, StreamError } from "./errors.ts";
import type { ByteStream } from "./platform.ts";
import { frames } from "./sse.ts";
import { type Call, optionsOf, type Transport } from "./transport.ts";

/** The API writes something every 10 s, so that a connection which says nothing is dead. */
const IDLE_MS = 30_000;

export interface Numbered {
	seq: number;
	type: string;
	data: unknown;
}

/** @internal */
export interface Following {
	/** The call that answers with the events after this one. */
	open: (after: number) => Call;
	/** Sequence number of the last event already seen. */
	after: number;
	/** Whether something is missing between an event and the next that came. */
	gap: (after: number, seq: number) => boolean;
	/** Connections in a row that may bring no event. */
	patience: number;
	signal: AbortSignal;
}

/** The events in order, each once; ends where the API says that there are no more. @throws StreamError `stream_broken` @internal */
export async function* follow(
	transport: Transport,
	{ open, after, gap, patience, signal }: Following,
): AsyncGenerator<Numbered> {
	for (let barren = 0; ; barren++) {
		const call = open(after);
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
			for await (const { id, type, data } of frames(body, IDLE_MS)) {
				const seq = Number(id);
				// One that was seen already, and what has no number, says nothing new.
				if (!(seq > after)) continue;
				// Something is missing: ask again from where we are.
				if (gap(after, seq)) break;
				const event = { seq, type, data: JSON.parse(data) };
				after = seq;
				barren = -1;
				yield event;
			}
		} catch {
			// The connection broke.
			signal.throwIfAborted();
		}
		if (barren >= patience)
			throw new StreamError(
				"stream_broken",
				`The stream broke ${barren} times without an event. Follow it later from event ${after} on.`,
			);
		await sleep(backoff(Math.max(0, barren)), signal);
	}
}
