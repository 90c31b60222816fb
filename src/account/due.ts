/**
 * The account's due tasks; the alarm fires at the earliest. A key says what is due:
 *
 * - `orphan:<job>` asks a Job that has not settled; each open job has one
 * - `expire:<job>` erases a job
 *
 * These two are in the job's own row, the others in a table:
 *
 * - `upload:<id>` deletes an upload; `object:<key>` and `late:<key>` delete objects in the bucket
 * - `keys:sweep` deletes old idempotency keys
 * - `notify:<webhook>` tells an Endpoint that it has something to read
 * - `ledger:audit` audits the ledger's new entries and sums the usage of days that ended,
 *   `ledger:roll` moves months that ended to the bucket
 * - `charge:card` charges the saved card
 * - `close:account` erases what is left of an account that was closed
 * - `hook:<webhook>` deletes a webhook that jobs named, once none does
 *
 * A task becomes due in the transaction of the fact that it follows from, so that none is lost.
 */

import { firstJobDue, jobsDueBy, rescheduleJob } from "./jobs.ts";

const JOB_TASKS = [
	["orphan", "open"],
	["expire", "settled"],
] as const;

export interface DueTask {
	key: string;
	/** Milliseconds since 1970. */
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

/** As `setDue`, but leaves a time that is set as it is. */
export function setDueUnlessSet(
	sql: SqlStorage,
	key: string,
	at: number,
): void {
	sql.exec("INSERT OR IGNORE INTO due (key, at) VALUES (?, ?)", key, at);
}

export function clearDue(sql: SqlStorage, key: string): void {
	sql.exec("DELETE FROM due WHERE key = ?", key);
}

/** When a task is due; null where there is none. */
export const dueAt = (sql: SqlStorage, key: string): number | null =>
	sql.exec<{ at: number }>("SELECT at FROM due WHERE key = ?", key).toArray()[0]
		?.at ?? null;

/** The tasks that are due, the oldest first. */
export function dueBy(sql: SqlStorage, now: number, limit: number): DueTask[] {
	const others = sql
		.exec<{
			key: string;
			at: number;
		}>("SELECT key, at FROM due WHERE at <= ? ORDER BY at LIMIT ?", now, limit)
		.toArray();
	const jobs = JOB_TASKS.flatMap(([task, kind]) =>
		jobsDueBy(sql, kind, now, limit).map(({ id, at }) => ({
			key: `${task}:${id}`,
			at,
		})),
	);
	return [...others, ...jobs].sort((a, b) => a.at - b.at).slice(0, limit);
}

export function earliestDue(sql: SqlStorage): number | null {
	const other = sql
		.exec<{ at: number }>("SELECT at FROM due ORDER BY at LIMIT 1")
		.toArray()[0]?.at;
	const times = [
		other ?? null,
		...JOB_TASKS.map(([, kind]) => firstJobDue(sql, kind)),
	].filter((at) => at !== null);
	return times.length > 0 ? Math.min(...times) : null;
}

/**
 * Ends a task that ran, or sets its next time. A row that changed meanwhile stays: a call that came
 * while the task ran set it anew.
 */
export function reschedule(
	sql: SqlStorage,
	done: DueTask,
	next: number | null,
): void {
	const [task, id = ""] = done.key.split(":", 2);
	const kind = JOB_TASKS.find(([name]) => name === task)?.[1];
	if (kind) {
		// A task of a job that is done with has changed the job's row.
		if (next !== null) rescheduleJob(sql, kind, { id, at: done.at }, next);
	} else if (next === null)
		sql.exec("DELETE FROM due WHERE key = ? AND at = ?", done.key, done.at);
	else
		sql.exec(
			"UPDATE due SET at = ? WHERE key = ? AND at = ?",
			next,
			done.key,
			done.at,
		);
}
