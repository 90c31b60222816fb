/** What a Job keeps in SQLite beside its events: spec, state, prompt ids; or the tombstone that stays of it. */
import type { Outcome } from "../contract/account.ts";
import type { JobSpec } from "../contract/job.ts";
import type { ObjectStorage } from "../durable/storage.ts";
import { type Batch, EventLog } from "./log.ts";
import {
	initialState,
	type JobState,
	type Logged,
	type Transition,
} from "./state.ts";
import { doneData, outcomeOf, stateData, usageData } from "./view.ts";

interface JobRow extends Record<string, SqlStorageValue> {
	spec: string | null;
	state: string | null;
	prompt_ids: string | null;
}

export interface Prompt {
	ids: number[];
	/** What the model read, images by their tokens. */
	tokens: number;
}

/** The id is never run again. */
export interface Tombstone {
	/** Null where the job was never started; else how it had ended before it was erased. */
	outcome: Outcome | null;
}

export type StoredJob = JobRecord | Tombstone | null;

export class JobRecord {
	readonly #sql: SqlStorage;
	readonly spec: JobSpec;
	readonly log: EventLog;
	#state: JobState;
	#promptIds: number[] | null;
	#prompt: Prompt | null = null;

	/** What this storage holds. */
	static open({ exists, sql }: ObjectStorage): StoredJob {
		if (!exists) return null;
		const row = sql.exec<JobRow>("SELECT * FROM job").one();
		if (row.spec === null || row.state === null)
			return { outcome: row.state === null ? null : JSON.parse(row.state) };
		return new JobRecord(
			sql,
			JSON.parse(row.spec),
			JSON.parse(row.state),
			row.prompt_ids === null ? null : JSON.parse(row.prompt_ids),
		);
	}

	/** Inside a transaction: the job is this object's, once and for all. */
	static claim(sql: SqlStorage, spec: JobSpec, now: number): JobRecord {
		const state = initialState(spec, now);
		sql.exec(
			"INSERT INTO job (spec, state) VALUES (?, ?)",
			JSON.stringify(spec),
			JSON.stringify(state),
		);
		const record = new JobRecord(sql, spec, state, null);
		record.log.append("job.queued", stateData(record));
		return record;
	}

	/** Inside a transaction: the job was never started and never will be. */
	static bury(sql: SqlStorage): Tombstone {
		sql.exec("INSERT INTO job (spec, state) VALUES (NULL, NULL)");
		return { outcome: null };
	}

	/** Inside a transaction, after the job's end: what was asked and answered is gone. */
	erase(): Tombstone {
		const outcome = outcomeOf(this);
		this.log.erase();
		this.#sql.exec(
			"UPDATE job SET spec = NULL, prompt_ids = NULL, state = ?",
			JSON.stringify(outcome),
		);
		return { outcome };
	}

	private constructor(
		sql: SqlStorage,
		spec: JobSpec,
		state: JobState,
		promptIds: number[] | null,
	) {
		this.#sql = sql;
		this.spec = spec;
		this.#state = state;
		this.#promptIds = promptIds;
		this.log = new EventLog(sql);
	}

	get state(): JobState {
		return this.#state;
	}

	/** The prompt as the first attempt's worker rendered it; stored with the first tokens. */
	get promptIds(): number[] | null {
		return this.#promptIds;
	}

	/** Inside a transaction. */
	begun(run: string): void {
		this.#save({ ...this.#state, run });
	}

	/** Keeps the prompt until the next write. */
	rendered(prompt: Prompt): void {
		if (!this.#promptIds) this.#prompt = prompt;
	}

	/** Inside a transaction. */
	append(batch: Batch): void {
		if (this.#prompt) this.#save(this.#state);
		this.log.appendTokens(batch);
	}

	/**
	 * Inside a transaction: the rest of the tokens, the new state and its events.
	 * @param rest of an answer that is whole
	 * @param digest SHA-256 of the whole text; with it the log is closed
	 */
	apply(
		decision: Transition,
		rest: Batch | null = null,
		digest: string | null = null,
	): void {
		if (rest) this.log.appendTokens(rest);
		else if (endsEarly(decision.state)) this.log.release();
		const { promptTokens } = this.#state;
		this.#save({ ...decision.state, promptTokens });
		const events = decision.log.map((logged) => this.#event(logged));
		if (digest === null)
			for (const [type, data] of events) this.log.append(type, data);
		else {
			const done = doneData(this, events.length + 2, digest);
			this.log.close([["usage", usageData(this)], ...events, ["done", done]]);
		}
	}

	#event({ type, ...data }: Logged): [type: string, data: object] {
		return type === "retrying"
			? ["job.retrying", data]
			: [`job.${this.#state.status}`, stateData(this)];
	}

	/** And the prompt, where one waits. */
	#save(state: JobState): void {
		const prompt = this.#prompt;
		this.#prompt = null;
		if (!prompt) {
			this.#sql.exec("UPDATE job SET state = ?", JSON.stringify(state));
			this.#state = state;
			return;
		}
		this.#promptIds = prompt.ids;
		this.#state = { ...state, promptTokens: prompt.tokens };
		this.#sql.exec(
			"UPDATE job SET state = ?, prompt_ids = ?",
			JSON.stringify(this.#state),
			JSON.stringify(prompt.ids),
		);
	}
}

const endsEarly = ({ phase, outcome }: JobState): boolean =>
	phase === "settling" && outcome !== "succeeded";
