/** The account's one row: its name, and the secret of its caches. */

import type { AccountView } from "../contract/account.ts";
import { hex } from "../crypto.ts";
import { balances } from "./ledger-rows.ts";

export interface Identity extends Record<string, SqlStorageValue> {
	id: string;
	name: string;
	created_at: number;
	/** The key of the HMACs that keep tenants apart in a worker's caches: see cache-ids.ts. */
	cache_secret: string;
}

export function createAccountTable(sql: SqlStorage): void {
	sql.exec(`CREATE TABLE account (
		id TEXT NOT NULL,
		name TEXT NOT NULL,
		created_at INTEGER NOT NULL,
		cache_secret TEXT NOT NULL
	)`);
}

export function createIdentity(
	sql: SqlStorage,
	{ id, name }: { id: string; name: string },
	now: number,
): Identity {
	const secret = crypto.getRandomValues(new Uint8Array(32));
	return sql
		.exec<Identity>(
			"INSERT INTO account VALUES (?, ?, ?, ?) RETURNING *",
			id,
			name,
			now,
			hex(secret.buffer),
		)
		.one();
}

export const identityOf = (sql: SqlStorage): Identity =>
	sql.exec<Identity>("SELECT * FROM account").one();

export function accountView(sql: SqlStorage, identity: Identity): AccountView {
	const { available, held } = balances(sql);
	return {
		id: identity.id,
		name: identity.name,
		createdAt: new Date(identity.created_at).toISOString(),
		available,
		held,
	};
}
