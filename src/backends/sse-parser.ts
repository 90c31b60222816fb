/**
 * Server-sent events out of raw bytes: one decoder, no transform streams (measured: they cost more
 * than the parsing).
 */
import { createParser } from "eventsource-parser";

export interface ServerSentEvent {
	event: string;
	data: string;
}

export class SseParser {
	readonly #decoder = new TextDecoder();
	readonly #parser = createParser({
		onEvent: ({ event = "message", data }) =>
			this.#events.push({ event, data }),
	});
	#events: ServerSentEvent[] = [];

	/** The events that these bytes complete; characters and lines may be cut anywhere. */
	push(bytes: Uint8Array): ServerSentEvent[] {
		this.#events = [];
		this.#parser.feed(this.#decoder.decode(bytes, { stream: true }));
		return this.#events;
	}
}
