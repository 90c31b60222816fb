/** An Endpoint's tables, version by version. A step that shipped never changes; a new one goes to the end. */
import type { Step } from "../durable/migrate.ts";
import { createDeliveryTable } from "./deliveries.ts";

export const STEPS: readonly Step[] = [
	(sql) => {
		sql.exec("CREATE TABLE endpoint (state TEXT NOT NULL)");
		createDeliveryTable(sql);
	},
];
