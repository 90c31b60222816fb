/**
 * The account's API keys: SHA-256 of each secret, never the secret. A key may be bound to the
 * origins of pages.
 */

import { ulid } from "ulid";
import type {
	Credential,
	KeyView,
	MadeBy,
	NewKey,
} from "../contract/account.ts";
import { failed, type Result } from "../errors.ts";

/** The most live keys that an owner may have. */
const MAX_KEYS = 100;
/**
 * The newest revoked keys are kept: they are listed, and a call with one learns that it was
 * revoked.
 */
const REVOKED_KEPT = 100;

interface KeyRow extends Record<string, SqlStorageValue> {
	id: string;
	name: string;
	created_at: number;
	revoked_at: number | null;
	/** JSON array; null is any origin. */
	origins: string | null;
}

export function createKeyTable(sql: SqlStorage): void {
	sql.exec(`CREATE TABLE key (
		id TEXT PRIMARY KEY,
		name TEXT NOT NULL,
		secret_hash TEXT NOT NULL UNIQUE,
		created_at INTEGER NOT NULL,
		revoked_at INTEGER,
		origins TEXT
	)`);
}

export function createKey(
	sql: SqlStorage,
	key: NewKey,
	now: number,
): Result<{ key: KeyView }> {
	const id = `key_${ulid(now)}`;
	sql.exec(
		"INSERT INTO key (id, name, secret_hash, created_at, origins) VALUES (?, ?, ?, ?, ?)",
		id,
		key.name,
		key.secretHash,
		now,
		key.origins ? JSON.stringify(key.origins) : null,
	);
	return findKey(sql, id);
}

/** A second revocation keeps the first one's time. */
export function revokeKey(
	sql: SqlStorage,
	id: string,
	now: number,
	current?: string,
): Result<{ key: KeyView }> {
	sql.exec(
		"UPDATE key SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL",
		now,
		id,
	);
	return findKey(sql, id, current);
}

/** Makes a key for the holder of another one. */
export function addKey(
	sql: SqlStorage,
	holder: string,
	key: NewKey,
	now: number,
): Result<{ key: KeyView }> {
	const keys = listKeys(sql, holder);
	const live = keys.filter(({ revokedAt }) => revokedAt === null);
	if (live.length >= MAX_KEYS)
		return failed({ code: "too_many_keys", limit: MAX_KEYS });
	return createKey(sql, key, now);
}

/**
 * Revokes a key for the holder of another one, or of itself, unless no key would be left that can
 * make others.
 */
export function dropKey(
	sql: SqlStorage,
	holder: string,
	id: string,
	now: number,
): Result<{ key: KeyView }> {
	const keys = listKeys(sql, holder);
	const free = keys.filter((key) => !key.revokedAt && key.origins === null);
	if (free.length === 1 && free[0]?.id === id)
		return failed({ code: "last_key" });
	const revoked = revokeKey(sql, id, now, holder);
	sql.exec(
		`DELETE FROM key WHERE revoked_at IS NOT NULL AND id NOT IN (
			SELECT id FROM key WHERE revoked_at IS NOT NULL ORDER BY revoked_at DESC, id DESC LIMIT ?)`,
		REVOKED_KEPT,
	);
	return revoked;
}

function findKey(
	sql: SqlStorage,
	id: string,
	current?: string,
): Result<{ key: KeyView }> {
	const row = sql
		.exec<KeyRow>("SELECT * FROM key WHERE id = ?", id)
		.toArray()[0];
	return row
		? { ok: true, key: view(row, current) }
		: failed({ code: "key_not_found" });
}

/** @param current id of the key of the call that asks */
export function listKeys(sql: SqlStorage, current?: string): KeyView[] {
	return sql
		.exec<KeyRow>("SELECT * FROM key ORDER BY created_at, id")
		.toArray()
		.map((row) => view(row, current));
}

/** The live key that a call carries. */
export interface CallingKey {
	keyId: string;
	onlyMadeBy: MadeBy;
	/** The key is bound to pages, and the call names no page. */
	pageless: boolean;
}

/** The live key with this secret that this page may use, or why there is none. */
export function verifyKey(
	sql: SqlStorage,
	credential: Credential,
): Result<CallingKey> {
	const { secretHash, origin } =
		typeof credential === "string"
			? { secretHash: credential, origin: null }
			: credential;
	const row = sql
		.exec<KeyRow>("SELECT * FROM key WHERE secret_hash = ?", secretHash)
		.toArray()[0];
	if (!row) return failed({ code: "invalid_key" });
	if (row.revoked_at !== null) return failed({ code: "revoked_key" });
	const origins = originsOf(row);
	if (origins && origin !== null && !origins.includes(origin))
		return failed({ code: "origin_not_allowed", origin: origin.slice(0, 256) });
	const bound = origins !== null;
	return {
		ok: true,
		keyId: row.id,
		onlyMadeBy: bound ? row.id : null,
		pageless: bound && origin === null,
	};
}

/** @param madeBy of the thing in question */
export const isVisible = (onlyMadeBy: MadeBy, madeBy: MadeBy): boolean =>
	onlyMadeBy === null || onlyMadeBy === madeBy;

const originsOf = (row: KeyRow): string[] | null =>
	row.origins === null ? null : JSON.parse(row.origins);

const view = (row: KeyRow, current?: string): KeyView => ({
	id: row.id,
	name: row.name,
	createdAt: new Date(row.created_at).toISOString(),
	revokedAt:
		row.revoked_at === null ? null : new Date(row.revoked_at).toISOString(),
	origins: originsOf(row),
	current: row.id === current,
});
