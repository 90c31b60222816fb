import { follow } from "./follow.ts";
import { limit as limitOf } from "./limit.ts";
import { Paged } from "./paged.ts";
import { type CallOptions, optionsOf, type Transport } from "./transport.ts";
import type { Event, EventPage, EventType } from "./types.ts";

export interface FeedOptions extends CallOptions {
	/** Number of the last event already seen. Begins at the oldest that is kept when left out. */
	after?: number;
	/** Only these. */
	types?: EventType[];
}

/** The account's feed: what happened, in one order, numbered without gaps, for 30 days. */
export class Feed {
	readonly #transport: Transport;

	/** @internal */
	constructor(transport: Transport) {
		this.#transport = transport;
	}

	/** What there is, oldest first. @throws GoneError `events_gone` where `after` is older than what is kept */
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

	/** What there is and then what comes, for ever, through broken connections: end it with `signal`, or by leaving the loop. */
	async *stream({
		after: from,
		types,
		...options
	}: FeedOptions = {}): AsyncGenerator<Event, void, undefined> {
		const each = optionsOf({
			...options,
			totalTimeout: Number.POSITIVE_INFINITY,
		});
		const total = options.totalTimeout ?? this.#transport.defaults.totalTimeout;
		const { signal, end } = limitOf(options.signal, total);
		try {
			const events = follow(this.#transport, {
				open: (after) => ({
					...each,
					path: "/v1/events",
					query: { types: types?.join() },
					headers: {
						"Last-Event-ID": after ? String(after) : from?.toString(),
					},
				}),
				// A filter leaves gaps, and so does what is too old to be kept.
				gap: (after, seq) => !types && after > 0 && seq > after + 1,
				...{ after: from ?? 0, patience: Number.POSITIVE_INFINITY, signal },
			});
			for await (const { data } of events) yield data as Event;
		} finally {
			end();
		}
	}
}
