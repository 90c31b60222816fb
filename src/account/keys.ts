/** The account's API keys: SHA-256 of each secret, never the secret. */
import { failed, type Result } from "../errors.ts";
import type { KeyView } from "./contract.ts";

interface KeyRow extends Record<string, SqlStorageValue> {
	id: string;
	name: string;
	created_at: number;
	revoked_at: number | null;
}

export function createKeyTable(sql: SqlStorage): void {
	sql.exec(`CREATE TABLE key (
		id TEXT PRIMARY KEY,
		name TEXT NOT NULL,
		secret_hash TEXT NOT NULL UNIQUE,
		created_at INTEGER NOT NULL,
		revoked_at INTEGER
	)`);
}

export function createKey(
	sql: SqlStorage,
	key: { id: string; name: string; secretHash: string },
	now: number,
): Result<{ key: KeyView }> {
	sql.exec(
		"INSERT INTO key (id, name, secret_hash, created_at) VALUES (?, ?, ?, ?)",
		key.id,
		key.name,
		key.secretHash,
		now,
	);
	return findKey(sql, key.id);
}

/** A second revocation keeps the first one's time. */
export function revokeKey(
	sql: SqlStorage,
	id: string,
	now: number,
): Result<{ key: KeyView }> {
	sql.exec(
		"UPDATE key SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL",
		now,
		id,
	);
	return findKey(sql, id);
}

function findKey(sql: SqlStorage, id: string): Result<{ key: KeyView }> {
	const row = sql
		.exec<KeyRow>("SELECT * FROM key WHERE id = ?", id)
		.toArray()[0];
	return row ? { ok: true, key: view(row) } : failed({ code: "key_not_found" });
}

export function listKeys(sql: SqlStorage): KeyView[] {
	return sql
		.exec<KeyRow>("SELECT * FROM key ORDER BY created_at, id")
		.toArray()
		.map(view);
}

/** The id of the live key with this secret, or why there is none. */
export function keyOf(
	sql: SqlStorage,
	secretHash: string,
): Result<{ keyId: string }> {
	const row = sql
		.exec<KeyRow>("SELECT * FROM key WHERE secret_hash = ?", secretHash)
		.toArray()[0];
	if (!row) return failed({ code: "invalid_key" });
	if (row.revoked_at !== null) return failed({ code: "revoked_key" });
	return { ok: true, keyId: row.id };
}

const view = (row: KeyRow): KeyView => ({
	id: row.id,
	name: row.name,
	createdAt: new Date(row.created_at).toISOString(),
	revokedAt:
		row.revoked_at === null ? null : new Date(row.revoked_at).toISOString(),
});
