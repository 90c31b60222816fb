/** What an Endpoint owes and what became of it: one row a delivery, open while it has a time for its next try. */
import type { DeliveryView } from "../contract/endpoint.ts";
import { heads, type QueuedDelivery } from "./order.ts";

export const LOG_KEPT_MS = 30 * 24 * 60 * 60_000;
/** Of those that are through, the newest are kept. */
export const LOG_ROWS = 10_000;

/** A delivery on its way. */
export interface OpenDelivery extends QueuedDelivery {
	event: string;
	type: string;
}

/** What it says: kept until it is through. */
export interface Content {
	/** Milliseconds since 1970, of the event. */
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
	attempt: number;
	at: number;
	http_status: number | null;
	error: string | null;
	duration_ms: number | null;
	next_at: number | null;
}

const COLUMNS =
	"id, event, type, seq, line, status, attempt, at, http_status, error, duration_ms, next_at";

export function createDeliveryTable(sql: SqlStorage): void {
	// The long columns are last: who does not ask for them does not read them.
	sql.exec(`CREATE TABLE delivery (
		id INTEGER PRIMARY KEY,
		event TEXT NOT NULL,
		type TEXT NOT NULL,
		seq INTEGER,
		line TEXT,
		status TEXT NOT NULL DEFAULT 'pending',
		attempt INTEGER NOT NULL DEFAULT 0,
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
				"SELECT id, event, type, line, next_at AS nextAt FROM delivery INDEXED BY delivery_open WHERE next_at IS NOT NULL ORDER BY id",
			)
			.toArray();
	}

	/** Due at once. @param id greater than any before */
	add(id: number, made: NewDelivery, now: number): void {
		this.#sql.exec(
			"INSERT INTO delivery (id, event, type, seq, line, at, next_at, created_at, data) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
			...[id, made.event, made.type, made.seq, made.line],
			...[now, now, made.createdAt, made.data],
		);
	}

	/** A test, which is over when it is noted. */
	addTest(
		id: number,
		test: { event: string; type: string },
		tried: Pick<DeliveryView, "at" | "httpStatus" | "error" | "durationMs">,
	): void {
		this.#sql.exec(
			"INSERT INTO delivery (id, event, type, status, attempt, at, http_status, error, duration_ms, created_at) VALUES (?, ?, ?, ?, 1, ?, ?, ?, ?, ?)",
			...[id, test.event, test.type],
			tried.error === null ? "delivered" : "failed",
			...[tried.at, tried.httpStatus, tried.error, tried.durationMs, tried.at],
		);
	}

	content(id: number): Content | null {
		return (
			this.#sql
				.exec<{ createdAt: number; data: string; body: string | null }>(
					"SELECT created_at AS createdAt, data, body FROM delivery WHERE id = ? AND next_at IS NOT NULL",
					id,
				)
				.toArray()[0] ?? null
		);
	}

	/** From now on each try says this. */
	fix(id: number, body: string): void {
		this.#sql.exec("UPDATE delivery SET body = ? WHERE id = ?", body, id);
	}

	/** Not a try: it could not be made. */
	postpone(id: number, nextAt: number): void {
		this.#sql.exec(
			"UPDATE delivery SET next_at = ? WHERE id = ? AND next_at IS NOT NULL",
			...[nextAt, id],
		);
	}

	/** All that are open begin anew. */
	restart(now: number): void {
		this.#sql.exec(
			"UPDATE delivery SET next_at = ?, attempt = 0 WHERE next_at IS NOT NULL",
			now,
		);
	}

	/** What came of a try; nothing where the delivery is not open any more. */
	tried(
		id: number,
		told: Pick<
			DeliveryView,
			| "status"
			| "attempt"
			| "at"
			| "httpStatus"
			| "error"
			| "durationMs"
			| "nextAt"
		>,
	): void {
		this.#sql.exec(
			"UPDATE delivery SET status = ?, attempt = ?, at = ?, http_status = ?, error = ?, duration_ms = ?, next_at = ? WHERE id = ?",
			...[told.status, told.attempt, told.at, told.httpStatus, told.error],
			...[told.durationMs, told.nextAt, id],
		);
		if (told.nextAt === null)
			this.#sql.exec(
				"UPDATE delivery SET data = NULL, body = NULL WHERE id = ?",
				id,
			);
	}

	/** Open deliveries of events after `seq`: the cursor will meet them again. */
	dropAfter(seq: number): void {
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

	/** The open one of an event, if there is one. */
	openOf(event: string): number | null {
		return this.open().find((open) => open.event === event)?.id ?? null;
	}

	/** Newest first. @param before the last page's last id */
	page(before: number | null, limit: number): DeliveryView[] {
		const first = new Set(heads(this.open()).map(({ id }) => id));
		return this.#sql
			.exec<DeliveryRow>(
				`SELECT ${COLUMNS} FROM delivery WHERE id < ? ORDER BY id DESC LIMIT ?`,
				...[before ?? Number.MAX_SAFE_INTEGER, limit],
			)
			.toArray()
			.map((row) => this.#view(row, first));
	}

	/** @returns whether anything is left to sweep another day */
	sweep(newest: number, now: number): boolean {
		this.#sql.exec(
			"DELETE FROM delivery WHERE next_at IS NULL AND (at <= ? OR id <= ?)",
			...[now - LOG_KEPT_MS, newest - LOG_ROWS],
		);
		return (
			this.#sql.exec("SELECT 1 FROM delivery LIMIT 1").toArray().length > 0
		);
	}

	/** Keeps the log in bounds between sweeps. */
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
			attempt: row.attempt,
			at: row.at,
			status: row.status,
			httpStatus: row.http_status,
			error: row.error,
			durationMs: row.duration_ms,
			nextAt: !first || first.has(row.id) ? row.next_at : null,
		};
	}
}
