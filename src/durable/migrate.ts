/**
 * The versions of an object's tables. Each step leads from one version to the next and runs once.
 * A step that was deployed never changes: a new one goes to the end.
 */

export type Step = (sql: SqlStorage) => void;

/** The version of the tables; 0 where there are none. Writes nothing. */
export function versionOf(sql: SqlStorage): number {
	const made = sql
		.exec(
			"SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'version'",
		)
		.toArray();
	if (made.length === 0) return 0;
	return sql.exec<{ version: number }>("SELECT version FROM version").one()
		.version;
}

/**
 * Brings the tables to the last version, from none or from an older one. Runs inside a transaction.
 */
export function migrate(sql: SqlStorage, steps: readonly Step[]): void {
	const from = versionOf(sql);
	if (from >= steps.length) return;
	if (from === 0) {
		sql.exec("CREATE TABLE version (version INTEGER NOT NULL)");
		sql.exec("INSERT INTO version VALUES (0)");
	}
	for (const step of steps.slice(from)) step(sql);
	sql.exec("UPDATE version SET version = ?", steps.length);
}
