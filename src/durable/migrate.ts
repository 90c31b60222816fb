/**
 * The versions of an object's tables. Each step leads from one version to the next and runs once.
 * A step that was deployed never changes: a new one goes to the end.
 */

export type Step = (sql: SqlStorage) => void;

/**
 * The version of the tables; 0 where there are none. Tables without a version are of version 1:
 * most objects live and end with it, and a row that says so would be paid for each of them. Writes
 * nothing.
 */
export function versionOf(sql: SqlStorage): number {
	const tables = sql
		.exec<{ name: string }>(
			`SELECT name FROM sqlite_master
				WHERE type = 'table' AND name NOT GLOB '_cf_*' AND name NOT GLOB 'sqlite_*'`,
		)
		.toArray();
	if (!tables.some(({ name }) => name === "version"))
		return tables.length === 0 ? 0 : 1;
	return sql.exec<{ version: number }>("SELECT version FROM version").one()
		.version;
}

/**
 * Brings the tables to the last version, from none or from an older one. Runs inside a transaction.
 */
export function migrate(sql: SqlStorage, steps: readonly Step[]): void {
	const from = versionOf(sql);
	if (from >= steps.length) return;
	for (const step of steps.slice(from)) step(sql);
	if (steps.length === 1) return;
	sql.exec("CREATE TABLE IF NOT EXISTS version (version INTEGER NOT NULL)");
	sql.exec("DELETE FROM version");
	sql.exec("INSERT INTO version VALUES (?)", steps.length);
}
