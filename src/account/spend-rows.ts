/**
 * What keys with limits have spent: a row for each of them, changed where one of its jobs settles.
 * What it holds is in its jobs' rows. Keys without limits have no row, and cost none.
 */
import type { SpendLimits } from "../contract/key.ts";
import { addPrice, nothingSpent, type Spend, type Spent } from "./spend.ts";

interface SpendRow extends Spent, Record<string, SqlStorageValue> {
	/** When its limits were set first. */
	since: number;
}

/** The seventh version. */
export function createSpendTable(sql: SqlStorage): void {
	sql.exec("ALTER TABLE key ADD COLUMN spend_limits TEXT");
	// The key that a job was admitted with.
	sql.exec("ALTER TABLE job ADD COLUMN key TEXT");
	sql.exec(`CREATE TABLE key_spend (
		key TEXT PRIMARY KEY,
		since INTEGER NOT NULL,
		at INTEGER NOT NULL,
		day INTEGER NOT NULL,
		month INTEGER NOT NULL,
		total INTEGER NOT NULL
	) WITHOUT ROWID`);
}

/** Begins to count, goes on with it, or ends it, as the key now has limits or none. */
export function countSpend(
	sql: SqlStorage,
	key: string,
	limits: SpendLimits | null,
	now: number,
): void {
	if (limits === null) sql.exec("DELETE FROM key_spend WHERE key = ?", key);
	else
		sql.exec(
			`INSERT OR IGNORE INTO key_spend (key, since, at, day, month, total)
				VALUES (?, ?, ?, 0, 0, 0)`,
			key,
			now,
			now,
		);
}

/** Counts the price of a job that settles, where its key has limits. */
export function noteSpent(
	sql: SqlStorage,
	key: string | null,
	price: number,
	now: number,
): void {
	const row = key !== null && price > 0 && rowOf(sql, key);
	if (!row) return;
	const { at, day, month, total } = addPrice(row, price, now);
	sql.exec(
		"UPDATE key_spend SET at = ?, day = ?, month = ?, total = ? WHERE key = ?",
		at,
		day,
		month,
		total,
		key,
	);
}

/** What counts against the limits of a key. */
export function spendOf(
	sql: SqlStorage,
	key: string,
	limits: SpendLimits,
	now: number,
): Spend & { since: number } {
	const row = rowOf(sql, key);
	return {
		limits,
		spent: row ?? nothingSpent(now),
		held: heldBy(sql, key),
		since: row?.since ?? now,
	};
}

const rowOf = (sql: SqlStorage, key: string): SpendRow | undefined =>
	sql.exec<SpendRow>("SELECT * FROM key_spend WHERE key = ?", key).toArray()[0];

/** Reads every open job, as their count does: a row for it would be paid at each admission. */
const heldBy = (sql: SqlStorage, key: string): number =>
	sql
		.exec<{ held: number }>(
			`SELECT coalesce(sum(hold), 0) AS held FROM job INDEXED BY job_open
				WHERE settled_at IS NULL AND key = ?`,
			key,
		)
		.one().held;
