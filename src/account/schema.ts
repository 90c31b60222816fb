/** An account's tables, version by version: see `migrate`. */
import type { Step } from "../durable/migrate.ts";
import { createDueTable } from "./due.ts";
import { createEventTable } from "./feed.ts";
import { createIdempotencyTable } from "./idempotency.ts";
import { createAccountTable } from "./identity.ts";
import { createJobTable } from "./jobs.ts";
import { createKeyTable } from "./keys.ts";
import { createLedgerTables } from "./ledger-rows.ts";
import { createUploadTables } from "./uploads.ts";
import { createWebhookTables } from "./webhook-rows.ts";

export const STEPS: readonly Step[] = [
	(sql) => {
		createAccountTable(sql);
		createLedgerTables(sql);
		createKeyTable(sql);
		createJobTable(sql);
		createIdempotencyTable(sql);
		createDueTable(sql);
		createUploadTables(sql);
		createEventTable(sql);
		createWebhookTables(sql);
	},
];
