/** The account's one row: its name, and the secret of its caches. */

import type { AccountView, AuditedAccount } from "../contract/account.ts";
import { hex } from "../crypto.ts";
import { auditFromHere, auditView } from "./audit-rows.ts";
import { balances } from "./ledger-rows.ts";

export interface Identity extends Record<string, SqlStorageValue> {
	id: string;
	name: string;
	created_at: number;
	/** The key of the HMACs that keep tenants apart in a worker's caches: see cache-ids.ts. */
	cache_secret: string;
	/** Milliseconds since 1970; null where operators have not suspended the account. */
	suspended_at: number | null;
	/** Milliseconds since 1970; null unless an audit found its ledger wrong. */
	frozen_at: number | null;
	/** Micro-USD of payments that were taken back and could not be repaid. */
	owed: number;
	/** An `AutoTopUp`, JSON; null where it was never used. */
	auto_top_up: string | null;
	/** Milliseconds since 1970; null unless its owner closed it. */
	closed_at: number | null;
}

/** Of version 1. */
export function createAccountTable(sql: SqlStorage): void {
	sql.exec(`CREATE TABLE account (
		id TEXT NOT NULL,
		name TEXT NOT NULL,
		created_at INTEGER NOT NULL,
		cache_secret TEXT NOT NULL
	)`);
}

/** To version 2: operators suspend accounts. */
export function letAccountsBeSuspended(sql: SqlStorage): void {
	sql.exec("ALTER TABLE account ADD COLUMN suspended_at INTEGER");
}

/** The fifth version: an audit freezes accounts. */
export function letAccountsBeFrozen(sql: SqlStorage): void {
	sql.exec("ALTER TABLE account ADD COLUMN frozen_at INTEGER");
}

export function createIdentity(
	sql: SqlStorage,
	{ id, name }: { id: string; name: string },
	now: number,
): Identity {
	const secret = crypto.getRandomValues(new Uint8Array(32));
	return sql
		.exec<Identity>(
			"INSERT INTO account (id, name, created_at, cache_secret) VALUES (?, ?, ?, ?) RETURNING *",
			id,
			name,
			now,
			hex(secret.buffer),
		)
		.one();
}

export const identityOf = (sql: SqlStorage): Identity =>
	sql.exec<Identity>("SELECT * FROM account").one();

/** Suspends the account, or lets it in again. Repeating it changes nothing. */
export const suspend = (
	sql: SqlStorage,
	isSuspended: boolean,
	now: number,
): Identity =>
	sql
		.exec<Identity>(
			"UPDATE account SET suspended_at = iif(?, coalesce(suspended_at, ?), NULL) RETURNING *",
			isSuspended ? 1 : 0,
			now,
		)
		.one();

/** Freezes the account: it gets no new job until an operator lifts that. */
export const freeze = (sql: SqlStorage, now: number): void => {
	sql.exec("UPDATE account SET frozen_at = coalesce(frozen_at, ?)", now);
};

/** Lets it have jobs again. What the audit found wrong counts as seen, and all so far as right. */
export function unfreeze(sql: SqlStorage): void {
	sql.exec("UPDATE account SET frozen_at = NULL");
	auditFromHere(sql);
}

export function accountView(sql: SqlStorage, identity: Identity): AccountView {
	const { available, held } = balances(sql);
	return {
		id: identity.id,
		name: identity.name,
		createdAt: new Date(identity.created_at).toISOString(),
		available,
		held,
		suspendedAt: timeOrNull(identity.suspended_at),
		frozenAt: timeOrNull(identity.frozen_at),
	};
}

/** The same with what operators see alone. */
export const audited = (
	sql: SqlStorage,
	identity: Identity,
): AuditedAccount => ({
	...accountView(sql, identity),
	closedAt: timeOrNull(identity.closed_at),
	audit: auditView(sql),
});

const timeOrNull = (ms: number | null): string | null =>
	ms === null ? null : new Date(ms).toISOString();
