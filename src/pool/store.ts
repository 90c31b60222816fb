/**
 * A pool's rows: what must outlive the object. The object reads them once and then keeps them in
 * memory. It writes few, because each row is paid.
 */
import type { ObjectStorage } from "../durable/storage.ts";
import {
	addMeasurement,
	type Measurements,
	noMeasurements,
} from "./measurements.ts";
import type { QueueEntry } from "./queue.ts";

/** A job in the queue. */
export interface QueuedJob extends QueueEntry {
	/** The most tokens it may still produce. */
	tokens: number;
	/** URL of the worker that failed it last. */
	avoid: string | null;
	/** When it came. */
	queuedAt: number;
	/**
	 * The p90 that it was quoted then, uncorrected; null where its start says nothing about how good
	 * quotes are.
	 */
	rawP90: number | null;
}

/** A slot of a worker, granted to a job. */
export interface StoredLease {
	epoch: number;
	job: string;
	account: string;
	/** Of the worker. */
	url: string;
	resumed: boolean;
	tokens: number;
	grantedAt: number;
}

/** Measurements are written this many at a time. What is lost in between is measured again. */
const MEASUREMENTS_PER_WRITE = 16;
/** Epochs are reserved in blocks of this many, so that a grant need not write which one it took. */
const EPOCHS_RESERVED = 1_000;

/** As SQLite has it. */
type Stored<T extends { resumed: boolean }> = Omit<T, "resumed"> & {
	resumed: number;
} & Record<string, SqlStorageValue>;

interface PoolRow extends Record<string, SqlStorageValue> {
	model: string | null;
	epochs: number;
	measured: string | null;
}

export class PoolStore {
	readonly #storage: ObjectStorage;
	readonly #sql: SqlStorage;
	#epoch: number;
	#reserved: number;
	/** Null until the first job. */
	readonly model: string | null;
	/** Changed in place. */
	readonly measurements: Measurements;
	#unsaved = 0;

	constructor(storage: ObjectStorage) {
		this.#storage = storage;
		this.#sql = storage.sql;
		const { model, epochs, measured } = this.#sql
			.exec<PoolRow>("SELECT * FROM pool")
			.one();
		this.model = model;
		this.#epoch = epochs;
		this.#reserved = epochs;
		this.measurements = measured ? JSON.parse(measured) : noMeasurements();
	}

	saveModel(model: string): void {
		this.#write("UPDATE pool SET model = ?", model);
	}

	/** An epoch that no grant ever had. */
	newEpoch(): number {
		if (this.#epoch === this.#reserved) {
			this.#reserved += EPOCHS_RESERVED;
			this.#write("UPDATE pool SET epochs = ?", this.#reserved);
		}
		this.#epoch++;
		return this.#epoch;
	}

	addMeasurement<K extends keyof Measurements>(
		kind: K,
		value: Measurements[K][number],
	): void {
		addMeasurement(this.measurements, kind, value);
		this.#unsaved++;
		if (this.#unsaved < MEASUREMENTS_PER_WRITE) return;
		this.#unsaved = 0;
		const measured = JSON.stringify(this.measurements);
		this.#write("UPDATE pool SET measured = ?", measured);
	}

	/** In order of arrival. */
	queuedJobs(): QueuedJob[] {
		return this.#sql
			.exec<Stored<QueuedJob>>("SELECT * FROM queue ORDER BY place")
			.toArray()
			.map((row) => ({ ...row, resumed: Boolean(row.resumed) }));
	}

	insertQueued(entry: QueuedJob): void {
		this.#write(
			`INSERT INTO queue (place, job, account, resumed, tokens, avoid, queuedAt, rawP90)
				VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
			entry.place,
			entry.job,
			entry.account,
			Number(entry.resumed),
			entry.tokens,
			entry.avoid,
			entry.queuedAt,
			entry.rawP90,
		);
	}

	deleteQueued({ place }: QueuedJob): void {
		this.#write("DELETE FROM queue WHERE place = ?", place);
	}

	leases(): StoredLease[] {
		return this.#sql
			.exec<Stored<StoredLease>>("SELECT * FROM lease ORDER BY epoch")
			.toArray()
			.map((row) => ({ ...row, resumed: Boolean(row.resumed) }));
	}

	/**
	 * @param entry the job's row in the queue, which goes with the same write; null where it has none
	 */
	insertLease(lease: StoredLease, entry: QueuedJob | null): void {
		this.#storage.write(() => {
			if (entry)
				this.#sql.exec("DELETE FROM queue WHERE place = ?", entry.place);
			this.#sql.exec(
				`INSERT INTO lease (epoch, job, account, url, resumed, tokens, grantedAt)
					VALUES (?, ?, ?, ?, ?, ?, ?)`,
				lease.epoch,
				lease.job,
				lease.account,
				lease.url,
				Number(lease.resumed),
				lease.tokens,
				lease.grantedAt,
			);
		});
	}

	deleteLease({ epoch }: StoredLease): void {
		this.#write("DELETE FROM lease WHERE epoch = ?", epoch);
	}

	/** The slots that each worker had when it last answered, by its URL. */
	workerSlots(): Map<string, number> {
		return new Map(
			this.#sql
				.exec<{ url: string; slots: number }>("SELECT * FROM worker")
				.toArray()
				.map(({ url, slots }) => [url, slots]),
		);
	}

	saveWorkerSlots(url: string, slots: number): void {
		this.#write("INSERT OR REPLACE INTO worker VALUES (?, ?)", url, slots);
	}

	#write(query: string, ...values: SqlStorageValue[]): void {
		this.#storage.write(() => this.#sql.exec(query, ...values));
	}
}
