/**
 * One table of due times per object; its alarm is the earliest. Keys say what is due: `orphan:<job>` (there is one for
 * each job that has not settled), `expire:<job>`, `upload:<id>`, `object:<key>` and `late:<key>`, `keys:sweep`,
 * `notify:<webhook>` (its Endpoint has something to read), `hook:<webhook of jobs>` (whether it is still used). Setting a
 * time in the same transaction as the fact it follows from is what makes it sure.
 */

export interface Due {
	key: string;
	/** Milliseconds since the epoch. */
	at: number;
}

export function createDueTable(sql: SqlStorage): void {
	sql.exec(
		"CREATE TABLE due (key TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID",
	);
	sql.exec("CREATE INDEX due_at ON due (at)");
}

export function setDue(sql: SqlStorage, key: string, at: number): void {
	sql.exec(
		"INSERT INTO due (key, at) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET at = excluded.at",
		key,
		at,
	);
}

/** Leaves a time that is set as it is. */
export function setDueUnlessSet(
	sql: SqlStorage,
	key: string,
	at: number,
): void {
	sql.exec("INSERT OR IGNORE INTO due (key, at) VALUES (?, ?)", key, at);
}

/** How many rows there are of a kind, counted up to `most`. */
export function countDue(sql: SqlStorage, kind: string, most: number): number {
	// ";" is what follows ":".
	return sql
		.exec<{ count: number }>(
			"SELECT count(*) AS count FROM (SELECT 1 FROM due WHERE key >= ? AND key < ? LIMIT ?)",
			`${kind}:`,
			`${kind};`,
			most,
		)
		.one().count;
}

export function clearDue(sql: SqlStorage, key: string): void {
	sql.exec("DELETE FROM due WHERE key = ?", key);
}

/** When it is due, or null where it is not. */
export const dueAt = (sql: SqlStorage, key: string): number | null =>
	sql.exec<{ at: number }>("SELECT at FROM due WHERE key = ?", key).toArray()[0]
		?.at ?? null;

/** What is due by now, the oldest first. */
export function dueBy(sql: SqlStorage, now: number, limit: number): Due[] {
	return sql
		.exec<{
			key: string;
			at: number;
		}>("SELECT key, at FROM due WHERE at <= ? ORDER BY at LIMIT ?", now, limit)
		.toArray();
}

export function earliestDue(sql: SqlStorage): number | null {
	return (
		sql
			.exec<{ at: number }>("SELECT at FROM due ORDER BY at LIMIT 1")
			.toArray()[0]?.at ?? null
	);
}

/**
 * Ends what was done, or moves it to its next time. A row that changed meanwhile is left alone: a call that ran during
 * the await knew better.
 */
export function reschedule(
	sql: SqlStorage,
	done: Due,
	next: number | null,
): void {
	if (next === null)
		sql.exec("DELETE FROM due WHERE key = ? AND at = ?", done.key, done.at);
	else
		sql.exec(
			"UPDATE due SET at = ? WHERE key = ? AND at = ?",
			next,
			done.key,
			done.at,
		);
}
