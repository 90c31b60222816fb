/** The append-only event log of one job, in SQLite, with the text so far beside it in memory. */
import type { LogEvent } from "../contract/job.ts";
import { fold, type Tokens, tokenData } from "./fold.ts";
import { eventsOf, FOLDED, NONE, type Row, tokenIds, tokensOf } from "./row.ts";

/** Tokens that come into the log together: one row, one event. */
export interface Batch {
	/** What readers see of them. */
	text: string;
	/** Empty where the backend names none. */
	ids: number[];
	tokens: number;
	/** Text that belongs to these tokens and waits, because it may begin a stop string. */
	held: string;
}

/** `length` in UTF-16 units of data. */
const MESSAGE = { events: 256, length: 256 * 1024 };

export class EventLog {
	readonly #sql: SqlStorage;
	lastSeq = 0;
	/** All token texts joined. */
	text = "";
	/** See `Batch.held`; of the last batch. */
	held = "";
	/** Output tokens. */
	tokens = 0;
	/** Their ids in order, what a later attempt continues from; none where the backend names none. */
	readonly ids: number[] = [];

	/** Makes the table. */
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
			const held = row.held ?? this.held;
			this.#remember({ text, ...tokensOf(row), held });
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
			batch,
			batch.held,
		);
		this.#remember(batch);
	}

	/** What waits is shown after all: nothing follows that could complete a stop string. */
	release(): void {
		if (this.held) this.appendTokens({ text: this.held, ...NONE, held: "" });
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

	/** The last events. Many rows become few, the events before them stay as they are. */
	close(last: [type: string, data: object][]): void {
		const events = this.#rows(0, -1).flatMap((row) =>
			eventsOf(row).map((event, n) => ({
				...event,
				...(n === 0 ? tokensOf(row) : NONE),
			})),
		);
		for (const [type, data] of last)
			events.push({
				seq: ++this.lastSeq,
				type,
				data: JSON.stringify(data),
				...NONE,
			});
		this.erase();
		for (const row of fold(events))
			this.#insert(row.seq, FOLDED, row.data, row, null);
	}

	/** For good; the text in memory is the caller's to forget. */
	erase(): void {
		// Deleting would be billed row by row.
		this.#sql.exec("DROP TABLE event");
		EventLog.create(this.#sql);
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
		this.tokens += batch.tokens;
		this.ids.push(...batch.ids);
	}

	#insert(
		seq: number,
		type: string,
		data: string,
		tokens: Tokens | null,
		held: string | null,
	): void {
		this.#sql.exec(
			"INSERT INTO event (seq, type, data, token_ids, held) VALUES (?, ?, ?, ?, ?)",
			seq,
			type,
			data,
			tokens && tokenIds(tokens),
			held,
		);
	}
}
