/** A pool's tables, version by version: see `migrate`. */
import type { Step } from "../durable/migrate.ts";

export const STEPS: readonly Step[] = [
	(sql) => {
		// The tables are read once, when the object starts, so they need no index: each row is paid.
		sql.exec(`CREATE TABLE queue (
			place INTEGER PRIMARY KEY,
			job TEXT NOT NULL,
			account TEXT NOT NULL,
			resumed INTEGER NOT NULL,
			tokens INTEGER NOT NULL,
			avoid TEXT,
			queuedAt INTEGER NOT NULL,
			rawP90 REAL
		)`);
		// Heartbeats are in memory only.
		sql.exec(`CREATE TABLE lease (
			epoch INTEGER PRIMARY KEY,
			job TEXT NOT NULL,
			account TEXT NOT NULL,
			url TEXT NOT NULL,
			resumed INTEGER NOT NULL,
			tokens INTEGER NOT NULL,
			grantedAt INTEGER NOT NULL
		)`);
		// One row. Epochs up to `epochs` may have been used.
		sql.exec(
			"CREATE TABLE pool (model TEXT, epochs INTEGER NOT NULL, measured TEXT)",
		);
		sql.exec("INSERT INTO pool (epochs) VALUES (0)");
		// The slots that a worker had when it last answered, for while it is away.
		sql.exec(
			"CREATE TABLE worker (url TEXT PRIMARY KEY, slots INTEGER NOT NULL) WITHOUT ROWID",
		);
	},
];
