/**
 * The append-only event log of one job, in SQLite, with the text so far beside it in memory.
 *
 * A row holds one event, or several in folded form. The newest row that has a state holds the job's
 * state, so that a change and its event are one row: Cloudflare bills each row written.
 */
import type { LogEvent } from "../contract/job.ts";
import { fold, type OutputTokens, tokenData, unfold } from "./fold.ts";

/**
 * The job's turns: some jobs write a description of the images before the answer. The tokens of
 * each are events of its own type.
 */
export type Turn = "description" | "answer";
const TOKEN_EVENT = { description: "description", answer: "token" } as const;

/** What the model wrote in one turn. */
export interface Written {
	/** All texts joined. */
	text: string;
	/** See `Batch.withheld`; of the last batch. */
	withheld: string;
	tokens: number;
	/** The tokens' ids in order, from which a later attempt continues. */
	readonly ids: number[];
	/** The ids of the turn's prompt, once the turn has tokens. */
	promptIds: number[] | null;
}

/** Tokens that are written to the log together: one row, one event. */
export interface Batch {
	/** The text that readers see. */
	text: string;
	/** Empty where the backend reports no ids. */
	ids: number[];
	tokens: number;
	/** Text of these tokens that is withheld, because it may begin a stop string. */
	withheld: string;
}

/** An event as it is written: its type and its data. */
export type NewEvent = [type: string, data: object];

/** What a row carries beside its events, as JSON. */
export interface Carried {
	/** All that the job needs to run; on the first row. */
	spec?: string;
	state?: string;
	/** The ids of the turn's prompt; on the row of its first tokens. */
	promptIds?: string | undefined;
}

interface Row extends Record<string, SqlStorageValue> {
	/** Of the last event in the row. */
	seq: number;
	/** The event's type, or `FOLDED`. */
	type: string;
	data: string;
	/** JSON: the ids of the row's output tokens, or their number where the backend reports no ids. */
	token_ids: string | null;
	/** See `Batch.withheld`. */
	withheld: string | null;
	spec: string | null;
	state: string | null;
	prompt_ids: string | null;
}

const FOLDED = "folded";
const NO_TOKENS: OutputTokens = { ids: [], tokens: 0 };
/** The most that one message to a reader holds; `length` in UTF-16 units of data. */
const MESSAGE = { events: 256, length: 256 * 1024 };
/**
 * A log that ends with more rows than this is folded into a few, because each read and each month
 * of storage is billed. Rewriting a shorter log costs more than it saves.
 */
const FEW_ROWS = 32;

export class EventLog {
	readonly #sql: SqlStorage;
	lastSeq = 0;
	readonly description = nothingWritten();
	readonly answer = nothingWritten();
	spec: string | null = null;
	/** Of the newest row that carries one. */
	state: string | null = null;
	#rowCount = 0;

	static create(sql: SqlStorage): void {
		sql.exec(`CREATE TABLE event (
			seq INTEGER PRIMARY KEY,
			type TEXT NOT NULL,
			data TEXT NOT NULL,
			token_ids TEXT,
			withheld TEXT,
			spec TEXT,
			state TEXT,
			prompt_ids TEXT
		)`);
	}

	/** Opens the log of a job whose table exists. */
	constructor(sql: SqlStorage) {
		this.#sql = sql;
		for (const row of this.#rows(0, -1)) {
			this.#rowCount++;
			this.lastSeq = row.seq;
			const events = eventsOf(row);
			const turn = turnOf(events);
			const text = events
				.filter(({ type }) => type === TOKEN_EVENT[turn])
				.map(({ data }) => JSON.parse(data).text)
				.join("");
			const withheld = row.withheld ?? this[turn].withheld;
			this.#remember(turn, { text, ...tokensOf(row), withheld });
			this.#note(turn, {
				...(row.spec !== null && { spec: row.spec }),
				...(row.state !== null && { state: row.state }),
				...(row.prompt_ids !== null && { promptIds: row.prompt_ids }),
			});
		}
	}

	/** Output tokens of all turns. */
	get tokens(): number {
		return this.description.tokens + this.answer.tokens;
	}

	/** Inside a transaction: the events as one row. Without events the last row carries the state. */
	append(
		events: readonly NewEvent[],
		carried: Pick<Carried, "spec"> & { state: string },
	): void {
		if (events.length === 0) {
			this.#carry(carried.state);
			return;
		}
		const written = events.map(([type, data]) => ({
			seq: ++this.lastSeq,
			type,
			data: JSON.stringify(data),
			...NO_TOKENS,
		}));
		const [first] = written;
		if (written.length === 1 && first)
			this.#insert({ ...first, token_ids: null }, carried);
		else
			for (const row of fold(written))
				this.#insert({ ...row, type: FOLDED, token_ids: null }, carried);
	}

	/** Inside a transaction. */
	appendTokens(turn: Turn, batch: Batch, carried: Carried = {}): void {
		this.#insert(
			{
				seq: ++this.lastSeq,
				type: TOKEN_EVENT[turn],
				data: tokenData(batch.text),
				token_ids: tokenIds(batch),
				withheld: batch.withheld,
			},
			carried,
		);
		this.#remember(turn, batch);
	}

	/** Inside a transaction: shows text that was withheld, since no stop string can follow. */
	release(): void {
		const { withheld } = this.answer;
		if (withheld)
			this.appendTokens("answer", {
				text: withheld,
				...NO_TOKENS,
				withheld: "",
			});
	}

	/**
	 * The next events after `seq`, none later than `upTo`: as many as make a good message, at least
	 * one where there is any.
	 */
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

	/** Inside a transaction, after the last event: the rows of a long log become few. */
	compact(): void {
		if (this.#rowCount <= FEW_ROWS) return;
		const events = this.#rows(0, -1).flatMap((row) =>
			eventsOf(row).map((event, n) => ({
				...event,
				...(n === 0 ? tokensOf(row) : NO_TOKENS),
			})),
		);
		const carried: Carried = {
			...(this.spec !== null && { spec: this.spec }),
			...(this.state !== null && { state: this.state }),
		};
		this.clear();
		const rows = fold(events);
		for (const row of rows)
			this.#insert(
				{ ...row, type: FOLDED, token_ids: tokenIds(row) },
				row === rows.at(-1) ? carried : {},
			);
	}

	/** Inside a transaction: deletes all rows. `DELETE` would be billed for each row. */
	clear(): void {
		this.#sql.exec("DROP TABLE event");
		EventLog.create(this.#sql);
		this.#rowCount = 0;
	}

	/** Inside a transaction, in an empty log: no event ever follows. */
	bury(outcome: string): void {
		this.#sql.exec(
			"INSERT INTO event (seq, type, data) VALUES (0, 'tombstone', ?)",
			outcome,
		);
	}

	/** What `bury` wrote. */
	tombstone(): string {
		return this.#sql
			.exec<{ data: string }>("SELECT data FROM event WHERE seq = 0")
			.one().data;
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

	#remember(turn: Turn, batch: Batch): void {
		const written = this[turn];
		written.text += batch.text;
		written.withheld = batch.withheld;
		written.tokens += batch.tokens;
		written.ids.push(...batch.ids);
	}

	#carry(state: string): void {
		this.#sql.exec(
			"UPDATE event SET state = ? WHERE seq = (SELECT max(seq) FROM event)",
			state,
		);
		this.state = state;
	}

	#note(turn: Turn, { spec, state, promptIds }: Carried): void {
		this.spec = spec ?? this.spec;
		this.state = state ?? this.state;
		if (promptIds !== undefined) this[turn].promptIds = JSON.parse(promptIds);
	}

	#insert(
		row: Pick<Row, "seq" | "type" | "data" | "token_ids"> & {
			withheld?: string | null;
		},
		carried: Carried,
	): void {
		this.#sql.exec(
			`INSERT INTO event (seq, type, data, token_ids, withheld, spec, state, prompt_ids)
				VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
			row.seq,
			row.type,
			row.data,
			row.token_ids,
			row.withheld ?? null,
			carried.spec ?? null,
			carried.state ?? null,
			carried.promptIds ?? null,
		);
		this.#rowCount++;
		this.#note(
			row.type === TOKEN_EVENT.description ? "description" : "answer",
			carried,
		);
	}
}

const nothingWritten = (): Written => ({
	text: "",
	withheld: "",
	tokens: 0,
	ids: [],
	promptIds: null,
});

/** The turn whose tokens a row of these events holds, if it holds any. */
const turnOf = (events: readonly LogEvent[]): Turn =>
	events.some(({ type }) => type === TOKEN_EVENT.description)
		? "description"
		: "answer";

const eventsOf = ({ seq, type, data }: Row): LogEvent[] =>
	type === FOLDED ? unfold({ seq, data }) : [{ seq, type, data }];

function tokensOf({ token_ids }: Row): OutputTokens {
	if (token_ids === null) return NO_TOKENS;
	const parsed = JSON.parse(token_ids) as number[] | number;
	return typeof parsed === "number"
		? { ids: [], tokens: parsed }
		: { ids: parsed, tokens: parsed.length };
}

/** For `token_ids`. */
const tokenIds = ({ ids, tokens }: OutputTokens): string =>
	JSON.stringify(ids.length > 0 ? ids : tokens);
