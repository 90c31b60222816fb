/**
 * The deliveries of a webhook: one row each, open while it has a time for its next try, then a log.
 */
import type { FeedEvent } from "../contract/account.ts";
import type { DeliveryView } from "../contract/endpoint.ts";
import { dataOf, eventId } from "../schema/feed-wire.ts";
import { firstInLine, type QueuedDelivery } from "./order.ts";
import type { EndpointState } from "./state.ts";

const LOG_KEPT_MS = 30 * 24 * 60 * 60_000;
/** At most this many deliveries that are not open are kept, the newest. */
const LOG_ROWS = 10_000;

/** A delivery that has not ended. */
export interface OpenDelivery extends QueuedDelivery {
	event: string;
	type: string;
}

/** What a delivery says: kept while it is open. */
export interface Content {
	/** When the event happened; milliseconds since 1970. */
	createdAt: number;
	/** The event's `data`, JSON. */
	data: string;
	/** The bytes of every try; null before the first. */
	body: string | null;
}

export interface NewDelivery
	extends Pick<OpenDelivery, "event" | "type" | "line">,
		Pick<Content, "createdAt" | "data"> {
	seq: number;
}

interface DeliveryRow extends Record<string, SqlStorageValue> {
	id: number;
	event: string;
	type: string;
	seq: number | null;
	line: string | null;
	status: DeliveryView["status"];
	tries: number;
	at: number;
	http_status: number | null;
	error: string | null;
	duration_ms: number | null;
	next_at: number | null;
}

const COLUMNS =
	"id, event, type, seq, line, status, tries, at, http_status, error, duration_ms, next_at";

/** A test of the webhook: tried once, when it is added. */
export interface TestDelivery
	extends Pick<
		DeliveryView,
		"event" | "type" | "at" | "httpStatus" | "error" | "durationMs"
	> {}

/** What a try made of a delivery. */
export type TriedDelivery = Pick<
	DeliveryView,
	"status" | "tries" | "at" | "httpStatus" | "error" | "durationMs" | "nextAt"
>;

/** An event of the feed as a delivery. Those of a job are in line, in the job's order. */
export function newDelivery(
	event: FeedEvent,
	{ account, webhook }: EndpointState,
): NewDelivery {
	return {
		event: eventId(account, event.seq),
		type: event.type,
		seq: event.seq,
		line: "model" in event.data ? event.data.id : null,
		createdAt: event.at,
		data: JSON.stringify(dataOf(event, webhook?.origin ?? "")),
	};
}

export function createDeliveryTable(sql: SqlStorage): void {
	// The long columns are last: a query that does not name them does not read them.
	sql.exec(`CREATE TABLE delivery (
		id INTEGER PRIMARY KEY,
		event TEXT NOT NULL,
		type TEXT NOT NULL,
		seq INTEGER,
		line TEXT,
		status TEXT NOT NULL DEFAULT 'pending',
		tries INTEGER NOT NULL DEFAULT 0,
		at INTEGER NOT NULL,
		http_status INTEGER,
		error TEXT,
		duration_ms INTEGER,
		next_at INTEGER,
		created_at INTEGER NOT NULL,
		data TEXT,
		body TEXT
	)`);
	sql.exec(
		"CREATE INDEX delivery_open ON delivery (id) WHERE next_at IS NOT NULL",
	);
}

export class Deliveries {
	readonly #sql: SqlStorage;

	constructor(sql: SqlStorage) {
		this.#sql = sql;
	}

	open(): OpenDelivery[] {
		return this.#sql
			.exec<{
				id: number;
				event: string;
				type: string;
				line: string | null;
				nextAt: number;
			}>(
				`SELECT id, event, type, line, next_at AS nextAt
					FROM delivery INDEXED BY delivery_open WHERE next_at IS NOT NULL ORDER BY id`,
			)
			.toArray();
	}

	/** Due at once. @param id greater than any before */
	add(id: number, delivery: NewDelivery, now: number): void {
		this.#sql.exec(
			`INSERT INTO delivery (id, event, type, seq, line, at, next_at, created_at, data)
				VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			id,
			delivery.event,
			delivery.type,
			delivery.seq,
			delivery.line,
			now,
			now,
			delivery.createdAt,
			delivery.data,
		);
	}

	addTest(id: number, test: TestDelivery): void {
		this.#sql.exec(
			`INSERT INTO delivery (id, event, type, status, tries, at, http_status, error,
				duration_ms, created_at) VALUES (?, ?, ?, ?, 1, ?, ?, ?, ?, ?)`,
			id,
			test.event,
			test.type,
			test.error === null ? "delivered" : "failed",
			test.at,
			test.httpStatus,
			test.error,
			test.durationMs,
			test.at,
		);
	}

	/** Null where the delivery is not open. */
	content(id: number): Content | null {
		return (
			this.#sql
				.exec<{ createdAt: number; data: string; body: string | null }>(
					`SELECT created_at AS createdAt, data, body FROM delivery
						WHERE id = ? AND next_at IS NOT NULL`,
					id,
				)
				.toArray()[0] ?? null
		);
	}

	/** From now on each try sends this body. */
	setBody(id: number, body: string): void {
		this.#sql.exec("UPDATE delivery SET body = ? WHERE id = ?", body, id);
	}

	/** Moves the next try of an open delivery, and counts no try. */
	postpone(id: number, nextAt: number): void {
		this.#sql.exec(
			"UPDATE delivery SET next_at = ? WHERE id = ? AND next_at IS NOT NULL",
			nextAt,
			id,
		);
	}

	/** All open deliveries begin anew, with all their tries. */
	restart(now: number): void {
		this.#sql.exec(
			"UPDATE delivery SET next_at = ?, tries = 0 WHERE next_at IS NOT NULL",
			now,
		);
	}

	recordTry(id: number, tried: TriedDelivery): void {
		this.#sql.exec(
			`UPDATE delivery SET status = ?, tries = ?, at = ?, http_status = ?, error = ?,
				duration_ms = ?, next_at = ? WHERE id = ?`,
			tried.status,
			tried.tries,
			tried.at,
			tried.httpStatus,
			tried.error,
			tried.durationMs,
			tried.nextAt,
			id,
		);
		if (tried.nextAt === null)
			this.#sql.exec(
				"UPDATE delivery SET data = NULL, body = NULL WHERE id = ?",
				id,
			);
	}

	/** Deletes the open deliveries of events after `seq`, which the cursor meets again. */
	deleteOpenAfter(seq: number): void {
		this.#sql.exec(
			"DELETE FROM delivery WHERE next_at IS NOT NULL AND seq > ?",
			seq,
		);
	}

	find(id: number): DeliveryView | null {
		const row = this.#sql
			.exec<DeliveryRow>(`SELECT ${COLUMNS} FROM delivery WHERE id = ?`, id)
			.toArray()[0];
		return row ? this.#view(row) : null;
	}

	/** The id of an event's open delivery; null where it has none. */
	findOpen(event: string): number | null {
		return this.open().find((open) => open.event === event)?.id ?? null;
	}

	/** Newest first. @param before the last page's last id */
	page(before: number | null, limit: number): DeliveryView[] {
		const first = new Set(firstInLine(this.open()).map(({ id }) => id));
		return this.#sql
			.exec<DeliveryRow>(
				`SELECT ${COLUMNS} FROM delivery WHERE id < ? ORDER BY id DESC LIMIT ?`,
				before ?? Number.MAX_SAFE_INTEGER,
				limit,
			)
			.toArray()
			.map((row) => this.#view(row, first));
	}

	/** Deletes what is too old or too much. @returns whether no delivery is left */
	sweep(newest: number, now: number): boolean {
		this.#sql.exec(
			"DELETE FROM delivery WHERE next_at IS NULL AND (at <= ? OR id <= ?)",
			now - LOG_KEPT_MS,
			newest - LOG_ROWS,
		);
		return (
			this.#sql.exec("SELECT 1 FROM delivery LIMIT 1").toArray().length === 0
		);
	}

	/** Keeps the log within `LOG_ROWS` between sweeps. */
	trim(newest: number): void {
		this.#sql.exec(
			"DELETE FROM delivery WHERE id <= ? AND next_at IS NULL",
			newest - LOG_ROWS,
		);
	}

	#view(row: DeliveryRow, first?: Set<number>): DeliveryView {
		return {
			id: row.id,
			event: row.event,
			type: row.type,
			seq: row.seq,
			tries: row.tries,
			at: row.at,
			status: row.status,
			httpStatus: row.http_status,
			error: row.error,
			durationMs: row.duration_ms,
			nextAt: !first || first.has(row.id) ? row.next_at : null,
		};
	}
}
