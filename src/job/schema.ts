/** A job's tables, version by version. A step that shipped never changes; a new one goes to the end. */
import { EventLog } from "./log.ts";

export const STEPS: readonly ((sql: SqlStorage) => void)[] = [
	(sql) => {
		// One row. A tombstone has no spec.
		sql.exec(`CREATE TABLE job (
			spec TEXT,
			state TEXT,
			prompt_ids TEXT
		)`);
		EventLog.create(sql);
	},
];
