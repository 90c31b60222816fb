/** The pool's tables, version by version. A step that shipped never changes; a new one goes to the end. */

export const STEPS: readonly ((sql: SqlStorage) => void)[] = [
	(sql) => {
		// Epochs are never used twice, also after the newest lease ended.
		sql.exec(`CREATE TABLE lease (
			epoch INTEGER PRIMARY KEY AUTOINCREMENT,
			job TEXT NOT NULL UNIQUE,
			expires_at INTEGER NOT NULL
		)`);
		sql.exec("CREATE INDEX lease_expires_at ON lease (expires_at)");
		sql.exec(`CREATE TABLE queue (
			place INTEGER PRIMARY KEY AUTOINCREMENT,
			job TEXT NOT NULL UNIQUE
		)`);
	},
	(sql) => {
		// At most one row. A pool of the version before learns it from the next job that asks.
		sql.exec("CREATE TABLE pool (model TEXT NOT NULL)");
	},
];
