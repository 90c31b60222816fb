/** The Directory's tables, version by version: see `migrate`. */
import type { Step } from "../durable/migrate.ts";
import { createActTable } from "./acts.ts";
import { createEntryTable, createLeftTable } from "./entries.ts";
import { createLinkTable } from "./links.ts";
import { createPaymentTable } from "./payments.ts";

export const STEPS: readonly Step[] = [
	(sql) => {
		createEntryTable(sql);
		createLinkTable(sql);
		createActTable(sql);
		createPaymentTable(sql);
	},
	createLeftTable,
];
