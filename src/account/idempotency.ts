/**
 * Idempotency keys: which job each of them names, for thirty days. Only the SHA-256 of a key is
 * kept.
 */
import type { MadeBy } from "../contract/account.ts";
import { setDueUnlessSet } from "./due.ts";

export const KEY_KEPT_MS = 30 * 24 * 60 * 60_000;
/** Keys deleted in one transaction. */
const SWEPT_AT_ONCE = 500;
const SWEEP = "keys:sweep";

export function createIdempotencyTable(sql: SqlStorage): void {
	// In the order of their age, so that the oldest are found without another index.
	sql.exec(`CREATE TABLE idempotency_key (
		seq INTEGER PRIMARY KEY,
		key TEXT NOT NULL UNIQUE,
		job TEXT NOT NULL,
		created_at INTEGER NOT NULL
	)`);
}

/**
 * The id of the job that a key names, or null. An API key that is bound to pages has names of its
 * own.
 */
export function findNamedJobId(
	sql: SqlStorage,
	onlyMadeBy: MadeBy,
	key: string,
	now: number,
): string | null {
	return (
		sql
			.exec<{ job: string }>(
				"SELECT job FROM idempotency_key WHERE key = ? AND created_at > ?",
				scopedKey(onlyMadeBy, key),
				now - KEY_KEPT_MS,
			)
			.toArray()[0]?.job ?? null
	);
}

export function saveIdempotencyKey(
	sql: SqlStorage,
	onlyMadeBy: MadeBy,
	key: string,
	job: string,
	now: number,
): void {
	sql.exec(
		"INSERT OR REPLACE INTO idempotency_key (key, job, created_at) VALUES (?, ?, ?)",
		scopedKey(onlyMadeBy, key),
		job,
		now,
	);
	setDueUnlessSet(sql, SWEEP, now + KEY_KEPT_MS);
}

/** No hash has a colon, so that names of one API key are never those of another. */
const scopedKey = (onlyMadeBy: MadeBy, key: string): string =>
	onlyMadeBy === null ? key : `${onlyMadeBy}:${key}`;

/**
 * Deletes keys that are too old, a batch at a time.
 * @returns when to sweep again, or null where none is left
 */
export function sweepIdempotencyKeys(
	sql: SqlStorage,
	now: number,
): number | null {
	sql.exec(
		`DELETE FROM idempotency_key
			WHERE seq IN (SELECT seq FROM idempotency_key ORDER BY seq LIMIT ?) AND created_at <= ?`,
		SWEPT_AT_ONCE,
		now - KEY_KEPT_MS,
	);
	const oldest = sql
		.exec<{ created_at: number }>(
			"SELECT created_at FROM idempotency_key ORDER BY seq LIMIT 1",
		)
		.toArray()[0];
	return oldest ? Math.max(oldest.created_at + KEY_KEPT_MS, now) : null;
}
