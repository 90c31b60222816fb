/**
 * Closing an account for good. Its ledger stays, with the ids of its jobs and keys; all else goes.
 * Its keys end at once, in the transaction that closes it. The alarm does the rest, some rows at a
 * time, and repeats what fails.
 */
import { deleteCustomer } from "../billing/stripe.ts";
import { config } from "../env.ts";
import { failed, type Result } from "../errors.ts";
import { directoryOf } from "../objects.ts";
import { autoTopUpOf } from "./auto-top-up-rows.ts";
import { setDue } from "./due.ts";
import type { TaskContext } from "./due-tasks.ts";
import { type Identity, identityOf } from "./identity.ts";
import { countOpenJobs } from "./jobs.ts";
import { deleteUpload } from "./uploads.ts";
import { deleteWebhook, webhookIds } from "./webhooks.ts";

const CLOSE = "close:account";
/** Uploads deleted in one transaction; each makes tasks of its own. */
const UPLOADS_AT_ONCE = 100;
/** Rows deleted in one transaction. */
const ROWS_AT_ONCE = 1_000;
/** When to look again whether all jobs are erased. */
const ASK_AGAIN_MS = 5_000;

/** The eleventh version. */
export function letAccountsBeClosed(sql: SqlStorage): void {
	sql.exec("ALTER TABLE account ADD COLUMN closed_at INTEGER");
}

/**
 * Whether it may be closed now: its owner means it, and nothing of it is still to be paid.
 * @param confirm the account's id, as the caller wrote it
 */
export function checkClosable(
	sql: SqlStorage,
	identity: Identity,
	confirm: string,
): Result<object> {
	if (confirm !== identity.id)
		return failed({
			code: "invalid_request",
			field: "confirm",
			detail:
				"`confirm` must be the account's own id, as GET /v1/account shows it.",
		});
	return countOpenJobs(sql, 1) > 0 || autoTopUpOf(identity).pending
		? failed({ code: "account_busy" })
		: { ok: true };
}

/** Ends all its keys, and lets the alarm erase the rest. */
export function close(sql: SqlStorage, now: number): void {
	sql.exec(
		"UPDATE account SET closed_at = ?, name = '', cache_secret = ''",
		now,
	);
	sql.exec(
		`UPDATE key SET revoked_at = coalesce(revoked_at, ?), name = '', origins = NULL,
			ip_ranges = NULL`,
		now,
	);
	sql.exec("DELETE FROM key_spend");
	sql.exec("DELETE FROM webhook_secret");
	for (const id of webhookIds(sql)) deleteWebhook(sql, id, now);
	sql.exec("UPDATE job SET due_at = ? WHERE settled_at IS NOT NULL", now);
	setDue(sql, CLOSE, now);
}

/** One step of what is left to erase. @returns when to go on; null once all is gone */
export async function eraseClosed({
	env,
	store,
	account,
	clock,
	onIdentityChanged,
}: TaskContext): Promise<number | null> {
	const { sql } = store;
	const { customer } = autoTopUpOf(identityOf(sql));
	const { STRIPE } = config(env);
	if (customer !== null && STRIPE) await deleteCustomer(STRIPE, customer);
	await directoryOf(env).forget(account);
	const next = store.write(() => {
		sql.exec("UPDATE account SET auto_top_up = NULL");
		return eraseRows(sql, clock());
	});
	onIdentityChanged();
	return next;
}

function eraseRows(sql: SqlStorage, now: number): number | null {
	const uploads = sql
		.exec<{ id: string }>(
			"SELECT id FROM upload WHERE inline = 0 AND status != 'deleted' LIMIT ?",
			UPLOADS_AT_ONCE,
		)
		.toArray();
	for (const { id } of uploads) deleteUpload(sql, null, id, now);
	if (uploads.length > 0) return now;
	// Each is erased by itself: see `expire`.
	if (sql.exec("SELECT 1 FROM job LIMIT 1").toArray().length > 0)
		return now + ASK_AGAIN_MS;
	for (const table of ["event", "idempotency_key"]) {
		const { rowsWritten } = sql.exec(
			`DELETE FROM ${table} WHERE seq IN (SELECT seq FROM ${table} ORDER BY seq LIMIT ?)`,
			ROWS_AT_ONCE,
		);
		if (rowsWritten > 0) return now;
	}
	return null;
}
