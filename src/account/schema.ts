/** The account's tables, version by version. A step that shipped never changes; a new one goes to the end. */
import type { Step } from "../durable/migrate.ts";
import { createBooks } from "./books.ts";
import { createDueTable } from "./due.ts";
import { createEventTable } from "./feed.ts";
import { createIdempotencyTable } from "./idempotency.ts";
import {
	countRepeats,
	createJobTable,
	keepJobsForAWhile,
	knowCalls,
	tellWhoMadeJobs,
} from "./jobs.ts";
import { bindKeysToOrigins, createKeyTable } from "./keys.ts";
import {
	createImageUseTable,
	createUploadTables,
	keepUploadsForAWhile,
	listUploads,
} from "./uploads.ts";
import { createWebhookTables } from "./webhook-rows.ts";

export const STEPS: readonly Step[] = [
	(sql) => {
		sql.exec(`CREATE TABLE account (
			id TEXT NOT NULL,
			name TEXT NOT NULL,
			created_at INTEGER NOT NULL,
			cache_secret TEXT NOT NULL
		)`);
		createBooks(sql);
		createKeyTable(sql);
		createJobTable(sql);
		createDueTable(sql);
		createUploadTables(sql);
	},
	(sql) => {
		createIdempotencyTable(sql);
		keepJobsForAWhile(sql);
		keepUploadsForAWhile(sql);
	},
	bindKeysToOrigins,
	createImageUseTable,
	(sql) => {
		createEventTable(sql);
		createWebhookTables(sql);
	},
	(sql) => {
		knowCalls(sql);
		tellWhoMadeJobs(sql);
		listUploads(sql);
	},
	countRepeats,
];
