import { follow } from "./follow.ts";
import { Paged } from "./paged.ts";
import { timeLimit } from "./timing.ts";
import { type CallOptions, optionsOf, type Transport } from "./transport.ts";
import type { Event, EventPage, EventType } from "./types.ts";

export interface FeedOptions extends CallOptions {
	/** The `seq` of the last event already seen. Defaults to before the oldest event that is kept. */
	after?: number;
	/** Only events of these types. Defaults to all. */
	types?: EventType[];
}

/**
 * The account's events in one order, numbered without gaps and kept for 30 days: `client.events`.
 */
export class Feed {
	readonly #transport: Transport;

	/** @internal */
	constructor(transport: Transport) {
		this.#transport = transport;
	}

	/**
	 * Lists the events that exist now, oldest first.
	 *
	 * @throws GoneError `events_gone` when `after` is older than the events that are kept
	 * @example
	 * ```ts
	 * await client.jobs.run({ images: ["samples/coffee.jpg"], prompt: "What is this?" });
	 * for await (const event of client.events.list({ types: ["job.succeeded"] }))
	 * 	console.log(event.seq, event.type, event.created_at);
	 * ```
	 */
	list({
		after,
		types,
		limit,
		...options
	}: FeedOptions & { limit?: number } = {}): Paged<Event, EventPage> {
		return new Paged((next) =>
			this.#transport.json<EventPage>({
				...optionsOf(options),
				path: "/v1/events",
				query: { after: next ?? after, limit, types: types?.join() },
			}),
		);
	}

	/**
	 * Yields the events that exist and then new ones as they happen, without an end. It reconnects
	 * after a broken connection and continues after the last event. To stop, leave the loop or abort
	 * `signal`.
	 *
	 * @throws GoneError `events_gone` when `after` is older than the events that are kept
	 * @example
	 * ```ts
	 * const { last_seq } = await client.events.list({ limit: 1 }).page();
	 * const { id } = await client.jobs.create({ images: ["samples/coffee.jpg"], task: "describe" });
	 * for await (const event of client.events.stream({ after: last_seq })) {
	 * 	console.log(event.seq, event.type);
	 * 	if (event.type === "job.succeeded" && event.data.id === id) break;
	 * }
	 * ```
	 */
	async *stream({
		after: start,
		types,
		...options
	}: FeedOptions = {}): AsyncGenerator<Event, void, undefined> {
		// The total limit bounds the stream, not each of its calls.
		const callOptions = optionsOf({
			...options,
			totalTimeout: Number.POSITIVE_INFINITY,
		});
		const total = options.totalTimeout ?? this.#transport.defaults.totalTimeout;
		const { signal, clear } = timeLimit(options.signal, total);
		try {
			const events = follow(this.#transport, {
				callAfter: (after) => ({
					...callOptions,
					path: "/v1/events",
					query: { types: types?.join() },
					headers: { "Last-Event-ID": (after || start)?.toString() },
				}),
				// A filter leaves gaps, and so do old events that are no longer kept.
				isGap: (after, seq) => !types && after > 0 && seq > after + 1,
				after: start ?? 0,
				maxEmptyConnections: Number.POSITIVE_INFINITY,
				signal,
			});
			for await (const { data } of events) yield data as Event;
		} finally {
			clear();
		}
	}
}
