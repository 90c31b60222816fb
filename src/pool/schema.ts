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
	(sql) => {
		// The tables are read once, when the object starts, so they need no index: a row written is a row paid.
		sql.exec(`CREATE TABLE waiting (
			place INTEGER PRIMARY KEY,
			job TEXT NOT NULL,
			account TEXT NOT NULL,
			resumed INTEGER NOT NULL,
			tokens INTEGER NOT NULL,
			avoid TEXT,
			since INTEGER NOT NULL,
			rawP90 REAL
		)`);
		sql.exec(`INSERT INTO waiting (place, job, account, resumed, tokens, since)
			SELECT row_number() OVER (ORDER BY place), job, substr(job, 1, instr(job, '/') - 1), place <= 0, 300, 0 FROM queue`);
		sql.exec("DROP TABLE queue");
		// Without `url`: granted by a version that knew one worker only. Without heartbeats: they are kept in memory.
		sql.exec(`CREATE TABLE held (
			epoch INTEGER PRIMARY KEY,
			job TEXT NOT NULL,
			account TEXT NOT NULL,
			url TEXT,
			resumed INTEGER NOT NULL,
			tokens INTEGER NOT NULL,
			since INTEGER NOT NULL
		)`);
		sql.exec(`INSERT INTO held (epoch, job, account, resumed, tokens, since)
			SELECT epoch, job, substr(job, 1, instr(job, '/') - 1), 0, 300, expires_at - 35000 FROM lease`);
		// One row. Epochs up to `epochs` may have been used.
		sql.exec(
			"CREATE TABLE state (model TEXT, epochs INTEGER NOT NULL, measured TEXT)",
		);
		sql.exec(`INSERT INTO state (model, epochs) SELECT (SELECT model FROM pool),
			coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'lease'), 0)`);
		sql.exec("DROP TABLE lease");
		sql.exec("DROP TABLE pool");
		// What a worker was last heard to have, for when it is away.
		sql.exec(
			"CREATE TABLE worker (url TEXT PRIMARY KEY, slots INTEGER NOT NULL) WITHOUT ROWID",
		);
	},
];
