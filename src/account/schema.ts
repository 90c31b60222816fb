/** An account's tables, version by version: see `migrate`. */
import type { Step } from "../durable/migrate.ts";
import { createAuditTable } from "./audit-rows.ts";
import { addAutoTopUp } from "./auto-top-up-rows.ts";
import { letAccountsBeClosed } from "./closing.ts";
import { createDueTable } from "./due.ts";
import { createEventTable } from "./feed.ts";
import { createIdempotencyTable } from "./idempotency.ts";
import {
	createAccountTable,
	letAccountsBeFrozen,
	letAccountsBeSuspended,
} from "./identity.ts";
import { addPrices, createJobTables } from "./jobs.ts";
import { createKeyTable, limitKeys } from "./key-rows.ts";
import { addReleased, createLedgerTable, keepCredits } from "./ledger-rows.ts";
import { createPaymentTable } from "./payment-rows.ts";
import { createPartTable } from "./rollover-rows.ts";
import { createSpendTable } from "./spend-rows.ts";
import { createUploadTables } from "./uploads.ts";
import { createUsageTable } from "./usage-rows.ts";
import { createWebhookTables } from "./webhook-rows.ts";

export const STEPS: readonly Step[] = [
	(sql) => {
		createAccountTable(sql);
		createLedgerTable(sql);
		createKeyTable(sql);
		createJobTables(sql);
		createIdempotencyTable(sql);
		createDueTable(sql);
		createUploadTables(sql);
		createEventTable(sql);
		createWebhookTables(sql);
	},
	(sql) => {
		addPrices(sql);
		addReleased(sql);
	},
	(sql) => {
		limitKeys(sql);
		letAccountsBeSuspended(sql);
	},
	keepCredits,
	(sql) => {
		createAuditTable(sql);
		letAccountsBeFrozen(sql);
	},
	createPartTable,
	createSpendTable,
	createPaymentTable,
	createUsageTable,
	addAutoTopUp,
	letAccountsBeClosed,
];
