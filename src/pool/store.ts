/** A pool's rows: what must outlive the object. All is read once and then kept in memory; writes are few, because each is paid. */

import { type Measurements, noMeasurements } from "./measured.ts";
import type { QueueEntry } from "./queue.ts";

/** A job in the queue. */
export interface QueuedJob extends QueueEntry {
	/** The most tokens it may still produce. */
	tokens: number;
	avoid: string | null;
	/** When it came. */
	queuedAt: number;
	/** The p90 that it was quoted then, uncorrected; null where its start will say nothing of how good quotes are. */
	rawP90: number | null;
}

/** A slot that a job holds. */
export interface StoredLease {
	epoch: number;
	job: string;
	account: string;
	/** Of the worker. */
	url: string;
	resumed: boolean;
	tokens: number;
	/** When it was granted. */
	grantedAt: number;
}

/** Epochs are taken from blocks of this many, so that a grant need not write which one it took. */
const BLOCK = 1_000;

/** As SQLite has it. */
type Stored<T extends { resumed: boolean }> = Omit<T, "resumed"> & {
	resumed: number;
} & Record<string, SqlStorageValue>;

export class PoolStore {
	readonly #sql: SqlStorage;
	#epoch: number;
	#reserved: number;
	readonly model: string | null;
	readonly kept: Measurements;

	constructor(sql: SqlStorage) {
		this.#sql = sql;
		const state = sql
			.exec<{ model: string | null; epochs: number; measured: string | null }>(
				"SELECT * FROM pool",
			)
			.one();
		this.model = state.model;
		this.#epoch = state.epochs;
		this.#reserved = state.epochs;
		this.kept = state.measured ? JSON.parse(state.measured) : noMeasurements();
	}

	learn(model: string): void {
		this.#sql.exec("UPDATE pool SET model = ?", model);
	}

	/** One that no grant ever had. */
	newEpoch(): number {
		if (this.#epoch === this.#reserved) {
			this.#reserved += BLOCK;
			this.#sql.exec("UPDATE pool SET epochs = ?", this.#reserved);
		}
		this.#epoch++;
		return this.#epoch;
	}

	saveMeasured(): void {
		this.#sql.exec("UPDATE pool SET measured = ?", JSON.stringify(this.kept));
	}

	/** In order of arrival. */
	waiting(): QueuedJob[] {
		return this.#sql
			.exec<Stored<QueuedJob>>("SELECT * FROM queue ORDER BY place")
			.toArray()
			.map((row) => ({ ...row, resumed: Boolean(row.resumed) }));
	}

	wait(waiter: QueuedJob): void {
		this.#sql.exec(
			"INSERT INTO queue (place, job, account, resumed, tokens, avoid, queuedAt, rawP90) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
			waiter.place,
			waiter.job,
			waiter.account,
			Number(waiter.resumed),
			waiter.tokens,
			waiter.avoid,
			waiter.queuedAt,
			waiter.rawP90,
		);
	}

	waitNoMore({ place }: QueuedJob): void {
		this.#sql.exec("DELETE FROM queue WHERE place = ?", place);
	}

	held(): StoredLease[] {
		return this.#sql
			.exec<Stored<StoredLease>>("SELECT * FROM lease")
			.toArray()
			.map((row) => ({ ...row, resumed: Boolean(row.resumed) }));
	}

	hold(held: StoredLease): void {
		this.#sql.exec(
			"INSERT INTO lease (epoch, job, account, url, resumed, tokens, grantedAt) VALUES (?, ?, ?, ?, ?, ?, ?)",
			held.epoch,
			held.job,
			held.account,
			held.url,
			Number(held.resumed),
			held.tokens,
			held.grantedAt,
		);
	}

	free({ epoch }: StoredLease): void {
		this.#sql.exec("DELETE FROM lease WHERE epoch = ?", epoch);
	}

	/** Slots of each worker as last heard. */
	slots(): Map<string, number> {
		return new Map(
			this.#sql
				.exec<{ url: string; slots: number }>("SELECT * FROM worker")
				.toArray()
				.map(({ url, slots }) => [url, slots]),
		);
	}

	saveSlots(url: string, slots: number): void {
		this.#sql.exec("INSERT OR REPLACE INTO worker VALUES (?, ?)", url, slots);
	}
}
