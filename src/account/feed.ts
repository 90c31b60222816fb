/**
 * The account's event feed: `seq` 1, 2, 3, … without a gap, each event written in the transaction of the fact that it
 * tells. One row an event, and none of its own for those who read it.
 */

import type { Fact, FeedEvent } from "../contract/account.ts";
import type { EventType } from "../contract/event-type.ts";
import { failed, type Result } from "../errors.ts";
import type { ReadableLog } from "../stream/readers.ts";
import { type IndexedJob, rowOf } from "./jobs.ts";
import { notify } from "./webhook-rows.ts";

/** How long an event is kept at least. The newest one stays for good: its number is where the next one goes on. */
export const EVENT_KEPT_MS = 30 * 24 * 60 * 60_000;
const SWEPT_AT_ONCE = 4;
/** A reader that asks for few types is sent on after so many others. */
const SCANNED = 5_000;
/** Events of one message to a reader. */
const MESSAGE = 500;

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

/** What became of a job. Inside the transaction that made it so. */
export function tellOfJob(
	sql: SqlStorage,
	type: Exclude<EventType, `webhook.${string}`>,
	job: IndexedJob,
	now: number,
): void {
	const { closed } = job.hold;
	const finishedAt = closed && new Date(closed.at).toISOString();
	const own = job.webhook?.events.includes(type) ? job.webhook.id : null;
	tell(sql, { type, data: { ...rowOf(job), finishedAt } }, own, now);
}

/** Inside a transaction. @param own the job's own webhook, if it is to know */
export function tell(
	sql: SqlStorage,
	fact: Fact,
	own: string | null,
	now: number,
): void {
	sql.exec(
		"INSERT INTO event (at, type, webhook, data) VALUES (?, ?, ?, ?)",
		...[now, fact.type, own, JSON.stringify(fact.data)],
	);
	sweep(sql, now);
	notify(sql, { ...fact, webhook: own }, now);
}

/** 0 in an empty feed. */
export const lastSeq = (sql: SqlStorage): number =>
	sql
		.exec<{ seq: number }>("SELECT coalesce(max(seq), 0) AS seq FROM event")
		.one().seq;

/** The oldest that is kept; 1 in an empty feed. */
export const oldestSeq = (sql: SqlStorage): number =>
	sql
		.exec<{ seq: number }>("SELECT coalesce(min(seq), 1) AS seq FROM event")
		.one().seq;

/** Where a reader who has seen `after` goes on; null is one who wants all there is. */
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

/** @returns events after `after`, and how far was looked: further than the last of them where others lie between */
export function eventsAfter(
	sql: SqlStorage,
	after: number,
	limit: number,
	wanted: (event: FeedEvent) => boolean = () => true,
): { events: FeedEvent[]; upTo: number } {
	const rows = sql.exec<EventRow>(
		"SELECT * FROM event WHERE seq > ? ORDER BY seq LIMIT ?",
		...[after, SCANNED],
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

/** Each event takes more old ones along than it adds, so that none needs an alarm of its own. */
function sweep(sql: SqlStorage, now: number): void {
	sql.exec(
		`DELETE FROM event WHERE seq IN (SELECT seq FROM event ORDER BY seq LIMIT ${SWEPT_AT_ONCE})
			AND at <= ? AND seq < (SELECT max(seq) FROM event)`,
		now - EVENT_KEPT_MS,
	);
}

/** The feed as those read it who stay connected; `data` is a whole `FeedEvent`. */
export const feedLog = (sql: SqlStorage): ReadableLog => ({
	lastSeq: lastSeq(sql),
	between: (from, upTo) =>
		sql
			.exec<EventRow>(
				"SELECT * FROM event WHERE seq > ? ORDER BY seq LIMIT ?",
				from,
				Math.min(MESSAGE, upTo - from),
			)
			.toArray()
			.map((row) => ({ seq: row.seq, type: row.type, data: textOf(row) })),
});

/** A `FeedEvent` as JSON. Its `data` is JSON in the row, and goes out as it is. */
const textOf = ({ data, ...event }: EventRow): string =>
	`${JSON.stringify(event).slice(0, -1)},"data":${data}}`;

const eventOf = (row: EventRow): FeedEvent =>
	({ ...row, data: JSON.parse(row.data) }) as FeedEvent;
