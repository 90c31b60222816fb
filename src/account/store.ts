/** An account's storage: its tables brought up to date, its transactions, and its one alarm. */

import { migrate, versionOf } from "../durable/migrate.ts";
import { type Failure, failed, type Result } from "../errors.ts";
import { earliestDue } from "./due.ts";
import { STEPS } from "./schema.ts";

export class AccountStore {
	readonly sql: SqlStorage;
	readonly #storage: DurableObjectStorage;
	/** An unknown account has no tables, and nothing but `make` gives it some. */
	#made: boolean;
	/** When the alarm rings, as last seen; read anew at the start of each call. */
	#alarm: number | null = null;

	readonly #written: () => void;

	/** @param written what follows each transaction */
	constructor(storage: DurableObjectStorage, written: () => void) {
		this.#storage = storage;
		this.#written = written;
		this.sql = storage.sql;
		this.#made = versionOf(this.sql) > 0;
		if (this.#made) storage.transactionSync(() => migrate(this.sql, STEPS));
	}

	get exists(): boolean {
		return this.#made;
	}

	/** Gives the account its tables and their first rows. */
	create<T>(fill: (sql: SqlStorage) => T): T {
		const filled = this.#storage.transactionSync(() => {
			migrate(this.sql, STEPS);
			return fill(this.sql);
		});
		this.#made = true;
		return filled;
	}

	/** At the start of every call: arms an alarm that is missing, however it went missing. */
	async ensureAlarm(): Promise<void> {
		if (!this.#made) return;
		this.#alarm = await this.#storage.getAlarm();
		this.#arm();
	}

	/** After the alarm rang: it is set to what is due next. */
	onAlarm(): void {
		this.#alarm = null;
		this.#arm();
	}

	write<T>(change: () => T): T {
		const result = this.#storage.transactionSync(change);
		this.#arm();
		this.#written();
		return result;
	}

	/** A write that may end in a `Refusal`, which rolls back whatever it wrote. */
	writeOrRollBack<T extends object>(change: () => T): Result<T> {
		try {
			return { ok: true, ...this.write(change) };
		} catch (error) {
			if (error instanceof Rollback) return failed(error.failure);
			throw error;
		}
	}

	/**
	 * Rings at the earliest due time. Not awaited: the platform commits it with the writes of the same turn.
	 * An alarm that rings too early finds nothing due, which is cheaper than moving it at each settlement.
	 */
	#arm(): void {
		if (!this.#made) return;
		const next = earliestDue(this.sql);
		if (next === null || (this.#alarm !== null && this.#alarm <= next)) return;
		this.#alarm = next;
		void this.#storage.setAlarm(next);
	}
}

/** Carries a failure out of a transaction, so that it rolls back. */
export class Rollback extends Error {
	readonly failure: Failure;

	constructor(failure: Failure) {
		super(failure.code);
		this.failure = failure;
	}
}

/** The value of a result inside a transaction; throws its failure as `Refusal`. */
export function unwrapOrRollBack<R extends Result<object>>(
	result: R,
): Extract<R, { ok: true }> {
	if (!result.ok) throw new Rollback(result.failure);
	return result as Extract<R, { ok: true }>;
}
