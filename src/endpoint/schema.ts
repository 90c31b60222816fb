/** An endpoint's tables, version by version: see `migrate`. */
import type { Step } from "../durable/migrate.ts";
import { createDeliveryTable } from "./deliveries.ts";

export const STEPS: readonly Step[] = [
	(sql) => {
		// One row.
		sql.exec("CREATE TABLE endpoint (state TEXT NOT NULL)");
		createDeliveryTable(sql);
	},
];
