/** A job's tables, version by version: see `migrate`. */
import type { Step } from "../durable/migrate.ts";
import { EventLog } from "./log.ts";

export const STEPS: readonly Step[] = [
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
