/**
 * Converts the Account's feed events to their wire form, for the feed's readers and for webhooks.
 */
import type { FeedEvent } from "../contract/account.ts";
import type { Event } from "./feed.ts";
import { summaryWire } from "./job-wire.ts";

export const eventId = (account: string, seq: number): string =>
	`evt_${account}_${seq}`;

/** The sequence number in an event's id; null for an id of another account. */
export function seqOf(account: string, id: string): number | null {
	const digits = /^\d{1,15}$/.exec(id.slice(eventId(account, 0).length - 1));
	const seq = Number(digits?.[0]);
	return digits && id === eventId(account, seq) ? seq : null;
}

/**
 * An event's `data`.
 * @param origin the origin of the URLs in it
 */
export function dataOf(event: FeedEvent, origin: string): Event["data"] {
	if (!("model" in event.data)) return event.data;
	const { finishedAt, priceParts = [], ...row } = event.data;
	const summary = summaryWire(row, origin);
	return event.type === "job.created" ||
		event.type === "job.deleted" ||
		finishedAt === null
		? summary
		: { ...summary, finished_at: finishedAt, price_parts: priceParts };
}

/** The wire form of an event. */
export const eventWire = (
	account: string,
	event: FeedEvent,
	origin: string,
): Event =>
	({
		id: eventId(account, event.seq),
		object: "event",
		seq: event.seq,
		type: event.type,
		created_at: new Date(event.at).toISOString(),
		data: dataOf(event, origin),
	}) as Event;
