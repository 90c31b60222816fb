/**
 * The account's event feed: `seq` 1, 2, 3, … without a gap. Each event is written in the
 * transaction of its fact. An event costs one row, and a reader none.
 */

import type { Fact, FeedEvent } from "../contract/account.ts";
import type { EventType } from "../contract/event-type.ts";
import { failed, type Result } from "../errors.ts";
import type { PricePart } from "../pricing/bill.ts";
import type { ReadableLog } from "../stream/readers.ts";
import { type IndexedJob, indexRow } from "./jobs.ts";
import { scheduleNotifications } from "./webhook-rows.ts";

/**
 * For how long an event is kept at least. The newest one stays: the next number follows from it.
 */
export const EVENT_KEPT_MS = 30 * 24 * 60 * 60_000;
const SWEPT_AT_ONCE = 4;
/** One page looks at no more events than this, however few types its reader wants. */
const MAX_SCANNED = 5_000;
/** The most events of one message to a reader. */
const MESSAGE_EVENTS = 500;

interface EventRow extends Record<string, SqlStorageValue> {
	seq: number;
	at: number;
	type: string;
	webhook: string | null;
	data: string;
}

export function createEventTable(sql: SqlStorage): void {
	sql.exec(`CREATE TABLE event (
		seq INTEGER PRIMARY KEY,
		at INTEGER NOT NULL,
		type TEXT NOT NULL,
		webhook TEXT,
		data TEXT NOT NULL
	)`);
}

/** Adds an event of a job. Inside the transaction of its fact. */
export function appendJobEvent(
	sql: SqlStorage,
	type: Exclude<EventType, `webhook.${string}`>,
	job: IndexedJob,
	now: number,
	priceParts: PricePart[] = [],
): void {
	const { closed } = job.hold;
	const finishedAt = closed && new Date(closed.at).toISOString();
	const webhook = job.webhook?.events.includes(type) ? job.webhook.id : null;
	appendEvent(
		sql,
		{ type, data: { ...indexRow(job), finishedAt, priceParts } },
		webhook,
		now,
	);
}

/** Inside a transaction. @param webhook the job's own webhook, where it wants this event */
export function appendEvent(
	sql: SqlStorage,
	fact: Fact,
	webhook: string | null,
	now: number,
): void {
	sql.exec(
		"INSERT INTO event (at, type, webhook, data) VALUES (?, ?, ?, ?)",
		now,
		fact.type,
		webhook,
		JSON.stringify(fact.data),
	);
	sweep(sql, now);
	scheduleNotifications(sql, { ...fact, webhook }, now);
}

/** 0 in an empty feed. */
export const lastSeq = (sql: SqlStorage): number =>
	sql
		.exec<{ seq: number }>("SELECT coalesce(max(seq), 0) AS seq FROM event")
		.one().seq;

/** The oldest event that is kept; 1 in an empty feed. */
export const oldestSeq = (sql: SqlStorage): number =>
	sql
		.exec<{ seq: number }>("SELECT coalesce(min(seq), 1) AS seq FROM event")
		.one().seq;

/**
 * Where a reader continues who has seen `after`; null is for a reader who wants every event that is
 * kept.
 */
export function startAfter(
	sql: SqlStorage,
	after: number | null,
	field: string,
): Result<{ after: number }> {
	const oldest = oldestSeq(sql);
	if (after === null) return { ok: true, after: oldest - 1 };
	if (after < oldest - 1) return failed({ code: "events_gone", field, oldest });
	const last = lastSeq(sql);
	if (after <= last) return { ok: true, after };
	return failed({
		code: "invalid_request",
		field,
		detail: `\`${field}\` is beyond the newest event, which is ${last}.`,
	});
}

/** A part of the feed. */
export interface EventPage {
	events: FeedEvent[];
	/** The event that the page begins after. */
	after: number;
	/** How far the page reaches: beyond its last event where others lie between. */
	upTo: number;
	lastSeq: number;
}

/**
 * @param from null: from the oldest event that is kept; `field` is the request's, for errors
 * @param types null: all
 */
export function readEvents(
	sql: SqlStorage,
	from: { after: number | null; field: string },
	limit: number,
	types: EventType[] | null,
): Result<EventPage> {
	const start = startAfter(sql, from.after, from.field);
	if (!start.ok) return start;
	const { after } = start;
	const wanted = ({ type }: FeedEvent) => types?.includes(type) ?? true;
	const page = eventsAfter(sql, after, limit, wanted);
	return { ok: true, after, ...page, lastSeq: lastSeq(sql) };
}

/**
 * @returns events after `after`, and how far was looked: further than the last of them where others
 * lie between
 */
export function eventsAfter(
	sql: SqlStorage,
	after: number,
	limit: number,
	wanted: (event: FeedEvent) => boolean = () => true,
): { events: FeedEvent[]; upTo: number } {
	const rows = sql.exec<EventRow>(
		"SELECT * FROM event WHERE seq > ? ORDER BY seq LIMIT ?",
		after,
		MAX_SCANNED,
	);
	const events: FeedEvent[] = [];
	let upTo = after;
	for (const row of rows) {
		const event = eventOf(row);
		if (wanted(event)) events.push(event);
		upTo = event.seq;
		if (events.length >= limit) break;
	}
	return { events, upTo };
}

export function findEvent(sql: SqlStorage, seq: number): FeedEvent | null {
	const row = sql
		.exec<EventRow>("SELECT * FROM event WHERE seq = ?", seq)
		.toArray()[0];
	return row ? eventOf(row) : null;
}

/** Each new event deletes more old ones than it adds, so that expiry needs no alarm. */
function sweep(sql: SqlStorage, now: number): void {
	sql.exec(
		`DELETE FROM event WHERE seq IN (SELECT seq FROM event ORDER BY seq LIMIT ${SWEPT_AT_ONCE})
			AND at <= ? AND seq < (SELECT max(seq) FROM event)`,
		now - EVENT_KEPT_MS,
	);
}

/** The feed for readers that stay connected. `data` is a whole `FeedEvent`. */
export const feedLog = (sql: SqlStorage): ReadableLog => ({
	lastSeq: lastSeq(sql),
	between: (from, upTo) =>
		sql
			.exec<EventRow>(
				"SELECT * FROM event WHERE seq > ? ORDER BY seq LIMIT ?",
				from,
				Math.min(MESSAGE_EVENTS, upTo - from),
			)
			.toArray()
			.map((row) => ({ seq: row.seq, type: row.type, data: textOf(row) })),
});

/** A `FeedEvent` as JSON. Its `data` is JSON in the row, and goes out as it is. */
const textOf = ({ data, ...event }: EventRow): string =>
	`${JSON.stringify(event).slice(0, -1)},"data":${data}}`;

const eventOf = (row: EventRow): FeedEvent =>
	({ ...row, data: JSON.parse(row.data) }) as FeedEvent;
