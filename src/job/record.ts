/**
 * What a Job keeps in SQLite: its spec, its state and its events, or the tombstone that remains.
 */
import type { Outcome } from "../contract/account.ts";
import type { JobSpec } from "../contract/job.ts";
import type { ObjectStorage } from "../durable/storage.ts";
import {
	type Batch,
	type Carried,
	EventLog,
	type NewEvent,
	type Turn,
	type Written,
} from "./log.ts";
import {
	initialState,
	type JobState,
	type Transition,
	type TransitionEvent,
} from "./state.ts";
import { turnOf } from "./turns.ts";
import {
	doneData,
	FIXED_PRICE,
	outcomeOf,
	stateData,
	usageData,
} from "./view.ts";

export interface Prompt {
	ids: number[];
	/** The length of the prompt, with the tokens of its images. */
	tokens: number;
}

/** The id never runs again. */
export interface Tombstone {
	/** How the job ended before it was erased; null where it never started. */
	outcome: Outcome | null;
}

/** What specs lack that were written before prices went by token: nothing more is charged for. */
const OLDER: Pick<JobSpec, "prices" | "mostPromptTokens"> = {
	prices: {
		version: FIXED_PRICE,
		rates: { prompt_tokens: 0, output_tokens: 0, images: 0 },
	},
	mostPromptTokens: 0,
};

/** What states lack that were written before receipts. */
const OLDER_STATE: Pick<JobState, "digests"> = { digests: [] };

export type StoredJob = JobRecord | Tombstone | null;

export class JobRecord {
	readonly spec: JobSpec;
	readonly log: EventLog;
	#state: JobState;
	/** The turn's prompt as the worker rendered it, until the turn's first tokens are written. */
	#promptIds: number[] | null = null;

	/** Reads the storage. */
	static open({ exists, sql }: ObjectStorage): StoredJob {
		if (!exists) return null;
		const log = new EventLog(sql);
		const { spec, state } = log;
		if (spec === null || state === null)
			return { outcome: JSON.parse(log.tombstone()) };
		return new JobRecord(
			{ ...OLDER, ...JSON.parse(spec) },
			{ ...OLDER_STATE, ...JSON.parse(state) },
			log,
		);
	}

	/** Inside a transaction: binds the job to this object for good. */
	static claim(sql: SqlStorage, spec: JobSpec, now: number): JobRecord {
		const state = initialState(spec, now);
		const record = new JobRecord(spec, state, new EventLog(sql));
		record.log.append([["job.queued", stateData(record)]], {
			spec: JSON.stringify(spec),
			state: JSON.stringify(state),
		});
		return record;
	}

	/** Inside a transaction: the job never started and never will. */
	static bury(sql: SqlStorage): Tombstone {
		new EventLog(sql).bury(JSON.stringify(null));
		return { outcome: null };
	}

	/** Inside a transaction, after the job's end: deletes request and answer. */
	erase(): Tombstone {
		const outcome = outcomeOf(this);
		this.log.clear();
		this.log.bury(JSON.stringify(outcome));
		return { outcome };
	}

	private constructor(spec: JobSpec, state: JobState, log: EventLog) {
		this.spec = spec;
		this.#state = state;
		this.log = log;
	}

	get state(): JobState {
		return this.#state;
	}

	/** The turn that is written now, or was last. */
	get turn(): Turn {
		return turnOf(this.spec, this.#state.isDescribed);
	}

	/** What that turn has in the log. */
	get written(): Written {
		return this.log[this.turn];
	}

	/** Inside a transaction: the backend began the run with this id. */
	begun(run: string): void {
		this.log.append([], this.#carry({ ...this.#state, run }));
	}

	/** Keeps the turn's prompt until the next write. */
	rendered({ ids, tokens }: Prompt): void {
		if (this.written.promptIds) return;
		this.#promptIds = ids;
		this.#state = { ...this.#state, promptTokens: tokens };
	}

	/** Inside a transaction. */
	append(batch: Batch): void {
		const carried = this.#promptIds ? this.#carryTokens(this.#state) : {};
		this.log.appendTokens(this.turn, batch, carried);
	}

	/**
	 * Inside a transaction: the rest of the tokens, the new state and its events.
	 * @param rest of an answer that is whole
	 * @param digest SHA-256 of the whole text; with it the log is closed
	 */
	apply(
		{ state, events: transitionEvents }: Transition,
		rest: Batch | null = null,
		digest: string | null = null,
	): void {
		const endsEarly =
			state.phase === "settling" && state.outcome !== "succeeded";
		if (endsEarly) this.log.release();
		// The rest of a description is written before the answer's turn begins.
		const { turn } = this;
		if (rest) {
			this.log.appendTokens(turn, rest, this.#carryTokens(state));
			if (transitionEvents.length === 0) return;
		}
		const carried = this.#carry(state);
		const events = transitionEvents.map((each) => this.#event(each));
		if (digest === null) {
			this.log.append(events, carried);
			return;
		}
		const done = doneData(this, events.length + 2, digest);
		const closing: NewEvent[] = [
			["usage", usageData(this)],
			...events,
			["done", done],
		];
		this.log.append(closing, carried);
		this.log.compact();
	}

	#event({ type, ...data }: TransitionEvent): NewEvent {
		return type === "retrying"
			? ["job.retrying", data]
			: [`job.${this.#state.status}`, stateData(this)];
	}

	/** Adopts the state. @returns what the next row carries of it */
	#carry(state: JobState): { state: string } {
		this.#state = state;
		return { state: JSON.stringify(state) };
	}

	/** As `#carry`, for a row of tokens. */
	#carryTokens(state: JobState): Carried {
		const promptIds = this.#promptIds;
		this.#promptIds = null;
		return {
			...this.#carry(state),
			promptIds: promptIds ? JSON.stringify(promptIds) : undefined,
		};
	}
}
