/** The append-only event log of one job, in SQLite, with the text so far beside it in memory. */
import type { LogEvent } from "./contract.ts";
import { fold, tokenData, unfold } from "./fold.ts";

interface Row extends Record<string, SqlStorageValue> {
	/** Of the last event in it. */
	seq: number;
	/** The event's, or `folded` where there are many. */
	type: string;
	data: string;
	/** JSON. */
	token_ids: string | null;
	held: string | null;
}

/** Tokens that come into the log together: one row, one event. */
export interface Batch {
	/** What readers see of them. */
	text: string;
	ids: number[];
	/** Text that belongs to these ids and waits, because it may begin a stop string. */
	held: string;
}

const FOLDED = "folded";
/** `length` in UTF-16 units of data. */
const MESSAGE = { events: 256, length: 256 * 1024 };

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
		for (const row of this.#rows(0, -1)) {
			this.lastSeq = row.seq;
			const text = eventsOf(row)
				.filter(({ type }) => type === "token")
				.map(({ data }) => JSON.parse(data).text)
				.join("");
			this.#remember({ text, ids: idsOf(row), held: row.held ?? this.held });
		}
	}

	append(type: string, data: object): void {
		this.#insert(++this.lastSeq, type, JSON.stringify(data), null, null);
	}

	appendTokens(batch: Batch): void {
		this.#insert(
			++this.lastSeq,
			"token",
			tokenData(batch.text),
			JSON.stringify(batch.ids),
			batch.held,
		);
		this.#remember(batch);
	}

	/** What waits is shown after all: nothing follows that could complete a stop string. */
	release(): void {
		if (this.held) this.appendTokens({ text: this.held, ids: [], held: "" });
	}

	/** The next events after `seq`, none later than `upTo`: as many as make a good message, at least one where there is any. */
	between(seq: number, upTo: number): LogEvent[] {
		const events: LogEvent[] = [];
		let room = MESSAGE.length;
		for (const event of this.#rows(seq, MESSAGE.events).flatMap(eventsOf)) {
			if (event.seq <= seq) continue;
			if (event.seq > upTo || events.length === MESSAGE.events || room <= 0)
				break;
			events.push(event);
			room -= event.data.length;
		}
		return events;
	}

	/** Nothing follows: many rows become few, the events stay as they are. */
	fold(): void {
		const events = this.#rows(0, -1).flatMap((row) =>
			eventsOf(row).map((event, n) => ({
				...event,
				ids: n === 0 ? idsOf(row) : [],
			})),
		);
		this.erase();
		for (const { seq, data, ids } of fold(events))
			this.#insert(seq, FOLDED, data, JSON.stringify(ids), null);
	}

	/** For good; the text in memory is the caller's to forget. */
	erase(): void {
		this.#sql.exec("DELETE FROM event");
	}

	/** @param limit -1 for all of them */
	#rows(after: number, limit: number): Row[] {
		return this.#sql
			.exec<Row>(
				"SELECT * FROM event WHERE seq > ? ORDER BY seq LIMIT ?",
				after,
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
		seq: number,
		type: string,
		data: string,
		ids: string | null,
		held: string | null,
	): void {
		this.#sql.exec(
			"INSERT INTO event (seq, type, data, token_ids, held) VALUES (?, ?, ?, ?, ?)",
			seq,
			type,
			data,
			ids,
			held,
		);
	}
}

const eventsOf = ({ seq, type, data }: Row): LogEvent[] =>
	type === FOLDED ? unfold({ seq, data }) : [{ seq, type, data }];

const idsOf = ({ token_ids }: Row): number[] =>
	token_ids === null ? [] : JSON.parse(token_ids);
