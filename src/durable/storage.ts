/**
 * The storage of every object: tables that are made once and kept up to date, and one transaction
 * for each write.
 */
import { type Failure, failed, type Result } from "../errors.ts";
import { logLine } from "../log.ts";
import { migrate, type Step, versionOf } from "./migrate.ts";

export interface StorageOptions {
	/** The name of the object's class, for the log. */
	object: string;
	/** See `migrate`. */
	steps: readonly Step[];
	/**
	 * Whether a failed write resets the object. An object that changes its memory inside a write is
	 * ahead of its storage when that write fails, and only a fresh instance reads the truth. An
	 * object that decides from SQL alone stays right: the failed call gets the error, the others
	 * go on.
	 */
	resetOnFailure: boolean;
	/** Runs after each write, in the same turn: the platform commits both together. */
	afterWrite?: () => void;
}

export class ObjectStorage {
	/** Transactions of this instance. */
	writes = 0;
	readonly #ctx: DurableObjectState;
	readonly #options: StorageOptions;
	#exists: boolean;

	/** Brings tables of an older version up to date, and makes none. */
	constructor(ctx: DurableObjectState, options: StorageOptions) {
		this.#ctx = ctx;
		this.#options = options;
		this.#exists = versionOf(this.sql) > 0;
		if (this.#exists)
			ctx.storage.transactionSync(() => migrate(this.sql, options.steps));
	}

	get sql(): SqlStorage {
		return this.#ctx.storage.sql;
	}

	/**
	 * Whether the object has tables. A call with an unknown id wakes an object and leaves no trace.
	 */
	get exists(): boolean {
		return this.#exists;
	}

	/** Makes the tables, and their first rows in the same transaction. */
	create<T>(fill: () => T): T {
		const filled = this.write(() => {
			migrate(this.sql, this.#options.steps);
			return fill();
		});
		this.#exists = true;
		return filled;
	}

	/** Drops every table: the object is as if it had never been created. */
	clear(): void {
		this.write(() => {
			const tables = this.sql
				.exec<{ name: string }>(
					`SELECT name FROM sqlite_master
					WHERE type = 'table' AND name NOT GLOB '_cf_*' AND name NOT GLOB 'sqlite_*'`,
				)
				.toArray();
			for (const { name } of tables) this.sql.exec(`DROP TABLE "${name}"`);
		});
		this.#exists = false;
	}

	/** Runs `change` in one transaction. */
	write<T>(change: () => T): T {
		this.writes++;
		let result: T;
		try {
			result = this.#ctx.storage.transactionSync(change);
		} catch (error) {
			if (!(error instanceof Rollback)) this.#onFailure(error);
			throw error;
		}
		this.#options.afterWrite?.();
		return result;
	}

	/**
	 * A write that may end in a `Rollback`, which takes back whatever it wrote and becomes a failure.
	 */
	writeOrRollBack<T extends object>(change: () => T): Result<T> {
		try {
			return { ok: true, ...this.write(change) };
		} catch (error) {
			if (error instanceof Rollback) return failed(error.failure);
			throw error;
		}
	}

	#onFailure(error: unknown): void {
		const { object, resetOnFailure } = this.#options;
		logLine("write_failed", { object, cause: String(error) });
		if (resetOnFailure) this.#ctx.abort("write failed");
	}
}

/** Carries a failure out of a transaction, which rolls back. */
export class Rollback extends Error {
	readonly failure: Failure;

	constructor(failure: Failure) {
		super(failure.code);
		this.failure = failure;
	}
}

/** The value of a result, inside a transaction. @throws Rollback with its failure */
export function unwrapOrRollBack<R extends Result<object>>(
	result: R,
): Extract<R, { ok: true }> {
	if (!result.ok) throw new Rollback(result.failure);
	return result as Extract<R, { ok: true }>;
}
