/** The append-only event log of one job, in SQLite, with the text so far beside it in memory. */
import type { LogEvent } from "./contract.ts";

interface TokenRow {
	[name: string]: SqlStorageValue;
	data: string;
	token_ids: string;
	held: string;
}

/** Tokens that come into the log together: one row, one event. */
export interface Batch {
	/** What readers see of them. */
	text: string;
	ids: number[];
	/** Text that belongs to these ids and waits, because it may begin a stop string. */
	held: string;
}

export class EventLog {
	readonly #sql: SqlStorage;
	lastSeq = 0;
	/** All token texts joined. */
	text = "";
	/** See `Batch.held`; of the last batch. */
	held = "";
	/** Every output id in the log, in order: what a later attempt continues from. */
	readonly ids: number[] = [];

	static create(sql: SqlStorage): void {
		sql.exec(`CREATE TABLE event (
			seq INTEGER PRIMARY KEY,
			type TEXT NOT NULL,
			data TEXT NOT NULL,
			token_ids TEXT,
			held TEXT
		)`);
	}

	/** Opens the log of a job whose tables exist. */
	constructor(sql: SqlStorage) {
		this.#sql = sql;
		this.lastSeq = sql
			.exec<{ seq: number }>("SELECT coalesce(max(seq), 0) AS seq FROM event")
			.one().seq;
		for (const row of sql.exec<TokenRow>(
			"SELECT data, token_ids, held FROM event WHERE type = 'token' ORDER BY seq",
		))
			this.#remember({
				text: JSON.parse(row.data).text,
				ids: JSON.parse(row.token_ids),
				held: row.held,
			});
	}

	append(type: string, data: object): void {
		this.#insert(type, data, null, null);
	}

	appendTokens(batch: Batch): void {
		this.#insert(
			"token",
			{ text: batch.text },
			JSON.stringify(batch.ids),
			batch.held,
		);
		this.#remember(batch);
	}

	/** At most `limit` events after `seq`, none later than `upTo`. */
	between(seq: number, upTo: number, limit: number): LogEvent[] {
		return this.#sql
			.exec<LogEvent & Record<string, SqlStorageValue>>(
				"SELECT seq, type, data FROM event WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?",
				seq,
				upTo,
				limit,
			)
			.toArray();
	}

	#remember(batch: Batch): void {
		this.text += batch.text;
		this.held = batch.held;
		this.ids.push(...batch.ids);
	}

	#insert(
		type: string,
		data: object,
		ids: string | null,
		held: string | null,
	): void {
		this.#sql.exec(
			"INSERT INTO event (seq, type, data, token_ids, held) VALUES (?, ?, ?, ?, ?)",
			++this.lastSeq,
			type,
			JSON.stringify(data),
			ids,
			held,
		);
	}
}
