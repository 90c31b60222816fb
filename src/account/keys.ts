/**
 * The account's API keys: what each may do, and the SHA-256 of its secrets, never a secret. What
 * follows from them is decided in key-rules.ts.
 */

import { ulid } from "ulid";
import type {
	KeyLimits,
	KeyView,
	MadeBy,
	NewKey,
	Rotation,
} from "../contract/account.ts";
import { failed, type Result } from "../errors.ts";
import { PAGE_SCOPES, SCOPES, type Scope } from "../scopes.ts";
import {
	checkRotation,
	endedAt,
	grant,
	isAdmin,
	type KnownSecret,
	type UsedKey,
} from "./key-rules.ts";

/** The most live keys that an owner may have. */
const MAX_KEYS = 100;
/**
 * The newest keys that ended are kept: they are listed, and a call with one learns why it is
 * refused.
 */
const ENDED_KEPT = 100;
/** As many secrets of a key are kept that a rotation ended, with the names of those rotations. */
const ENDED_SECRETS_KEPT = 10;
/** How fine the time of a key's last call is. A finer one would cost a row for each call. */
const LAST_USE_MS = 60_000;

interface KeyRow extends Record<string, SqlStorageValue> {
	id: string;
	name: string;
	created_at: number;
	revoked_at: number | null;
	suspended_at: number | null;
	expires_at: number | null;
	/** With spaces between them. */
	scopes: string;
	/** JSON arrays; null is any. */
	origins: string | null;
	ip_ranges: string | null;
}

interface SecretRow extends Record<string, SqlStorageValue> {
	hash: string;
	key: string;
	created_at: number;
	/** Null for the newest of its key. */
	expires_at: number | null;
	last_used_at: number | null;
	/** The rotation that made it: the SHA-256 of its Idempotency-Key, and its grace. */
	rotation: string | null;
	grace: number | null;
}

/** Of version 1. */
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

/** To version 2: several secrets for a key, and limits. Keys keep what they can do. */
export function limitKeys(sql: SqlStorage): void {
	sql.exec(`CREATE TABLE secret (
		hash TEXT PRIMARY KEY,
		key TEXT NOT NULL,
		created_at INTEGER NOT NULL,
		expires_at INTEGER,
		last_used_at INTEGER,
		rotation TEXT,
		grace INTEGER
	) WITHOUT ROWID`);
	sql.exec("CREATE INDEX secret_key ON secret (key)");
	sql.exec(`INSERT INTO secret (hash, key, created_at)
		SELECT secret_hash, id, created_at FROM key`);
	sql.exec("ALTER TABLE key RENAME TO key_1");
	sql.exec(`CREATE TABLE key (
		id TEXT PRIMARY KEY,
		name TEXT NOT NULL,
		created_at INTEGER NOT NULL,
		revoked_at INTEGER,
		suspended_at INTEGER,
		expires_at INTEGER,
		scopes TEXT NOT NULL,
		origins TEXT,
		ip_ranges TEXT
	)`);
	sql.exec(
		`INSERT INTO key (id, name, created_at, revoked_at, scopes, origins)
			SELECT id, name, created_at, revoked_at, iif(origins IS NULL, ?, ?), origins
			FROM key_1`,
		SCOPES.join(" "),
		PAGE_SCOPES.join(" "),
	);
	sql.exec("DROP TABLE key_1");
}

/**
 * Makes a key.
 * @param maker the key that makes it; null for operators
 */
export function createKey(
	sql: SqlStorage,
	maker: CallingKey | null,
	key: NewKey,
	now: number,
): Result<{ key: KeyView }> {
	const granted = grant(key, maker, now);
	if (!granted.ok) return granted;
	if (maker && countLive(sql, now) >= MAX_KEYS)
		return failed({ code: "too_many_keys", limit: MAX_KEYS });
	forgetOldKeys(sql, now);
	const { scopes, origins, ipRanges, expiresAt } = granted.limits;
	const id = `key_${ulid(now)}`;
	sql.exec(
		`INSERT INTO key (id, name, created_at, expires_at, scopes, origins, ip_ranges)
			VALUES (?, ?, ?, ?, ?, ?, ?)`,
		id,
		key.name,
		now,
		expiresAt,
		scopes.join(" "),
		origins && JSON.stringify(origins),
		ipRanges && JSON.stringify(ipRanges),
	);
	insertSecret(sql, id, { ...key, name: null, grace: null }, now);
	return findKey(sql, id, now);
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
	return findKey(sql, id, now, current);
}

/**
 * Revokes a key for the holder of another one, or of itself, unless no key would be left that can
 * make others.
 */
export function dropKey(
	sql: SqlStorage,
	holder: CallingKey,
	id: string,
	now: number,
): Result<{ key: KeyView }> {
	const admins = keyRows(sql).filter((row) => isAdmin(stateOf(row), now));
	if (admins.length === 1 && admins[0]?.id === id)
		return failed({ code: "last_key" });
	const revoked = revokeKey(sql, id, now, holder.keyId);
	forgetOldKeys(sql, now);
	return revoked;
}

/** Suspends a key for operators, or lets it in again. Repeating it changes nothing. */
export function suspendKey(
	sql: SqlStorage,
	id: string,
	isSuspended: boolean,
	now: number,
): Result<{ key: KeyView }> {
	sql.exec(
		"UPDATE key SET suspended_at = iif(?2, coalesce(suspended_at, ?3), NULL) WHERE id = ?1",
		id,
		isSuspended ? 1 : 0,
		now,
	);
	return findKey(sql, id, now);
}

/** Gives a key a new secret, and ends those before it after the grace. */
export function rotateKey(
	sql: SqlStorage,
	holder: CallingKey,
	id: string,
	rotation: Rotation,
	now: number,
): Result<{ key: KeyView; isRepeat: boolean }> {
	const row = keyRows(sql, id)[0];
	if (!row) return failed({ code: "key_not_found" });
	const secrets = secretRows(sql, id);
	const checked = checkRotation(
		stateOf(row),
		secrets.map(knownSecret),
		holder,
		rotation,
		now,
	);
	if (!checked.ok) return checked;
	if (checked.answer === "new") {
		const graceEnds = now + rotation.grace * 1000;
		sql.exec(
			`UPDATE secret SET expires_at = ?2
				WHERE key = ?1 AND (expires_at IS NULL OR expires_at > ?2)`,
			id,
			graceEnds,
		);
		sql.exec(
			`DELETE FROM secret WHERE hash IN (
				SELECT hash FROM secret WHERE key = ? AND expires_at <= ?
				ORDER BY expires_at DESC LIMIT -1 OFFSET ?)`,
			id,
			now,
			ENDED_SECRETS_KEPT,
		);
		insertSecret(sql, id, rotation, now);
	}
	const found = findKey(sql, id, now, holder.keyId);
	return found.ok ? { ...found, isRepeat: checked.answer === "repeat" } : found;
}

function insertSecret(
	sql: SqlStorage,
	key: string,
	{
		secretHash,
		name,
		grace,
	}: Pick<Rotation, "secretHash" | "name"> & { grace: number | null },
	now: number,
): void {
	sql.exec(
		"INSERT INTO secret (hash, key, created_at, rotation, grace) VALUES (?, ?, ?, ?, ?)",
		secretHash,
		key,
		now,
		name,
		grace,
	);
}

const countLive = (sql: SqlStorage, now: number): number =>
	keyRows(sql).filter((row) => endedAt(stateOf(row), now) === null).length;

/** Deletes the keys that ended, but for the newest. */
function forgetOldKeys(sql: SqlStorage, now: number): void {
	sql.exec(
		`DELETE FROM key WHERE id IN (
			SELECT id FROM key WHERE coalesce(revoked_at, expires_at) <= ?
			ORDER BY coalesce(revoked_at, expires_at) DESC, id DESC LIMIT -1 OFFSET ?)`,
		now,
		ENDED_KEPT,
	);
	sql.exec("DELETE FROM secret WHERE key NOT IN (SELECT id FROM key)");
}

/** @param current id of the key of the call that asks */
export function findKey(
	sql: SqlStorage,
	id: string,
	now: number,
	current?: string,
): Result<{ key: KeyView }> {
	const row = keyRows(sql, id)[0];
	return row
		? { ok: true, key: view(row, secretRows(sql, id), now, current) }
		: failed({ code: "key_not_found" });
}

/** @param current as for `findKey` */
export function listKeys(
	sql: SqlStorage,
	now: number,
	current?: string,
): KeyView[] {
	const secrets = Map.groupBy(secretRows(sql), ({ key }) => key);
	return keyRows(sql).map((row) =>
		view(row, secrets.get(row.id) ?? [], now, current),
	);
}

/** All keys, oldest first, or the one with this id. */
const keyRows = (sql: SqlStorage, id: string | null = null): KeyRow[] =>
	(id === null
		? sql.exec<KeyRow>("SELECT * FROM key ORDER BY created_at, id")
		: sql.exec<KeyRow>("SELECT * FROM key WHERE id = ?", id)
	).toArray();

/** The secrets of all keys, or of one, the newest of each first. */
const secretRows = (sql: SqlStorage, key: string | null = null): SecretRow[] =>
	(key === null
		? sql.exec<SecretRow>("SELECT * FROM secret")
		: sql.exec<SecretRow>("SELECT * FROM secret WHERE key = ?", key)
	)
		.toArray()
		.sort(
			(a, b) => b.created_at - a.created_at || (a.expires_at === null ? -1 : 1),
		);

/** The key that a call carries. */
export interface CallingKey {
	keyId: string;
	scopes: readonly Scope[];
	onlyMadeBy: MadeBy;
}

/** The key with this secret; null where the account has none. */
export function findCallingKey(
	sql: SqlStorage,
	secretHash: string,
): { key: CallingKey; used: UsedKey; usedMinute: number | null } | null {
	const row = sql
		.exec<KeyRow & { secret_expires_at: number | null; minute: number | null }>(
			`SELECT key.*, secret.expires_at AS secret_expires_at, last_used_at AS minute
				FROM secret JOIN key ON key.id = secret.key WHERE hash = ?`,
			secretHash,
		)
		.toArray()[0];
	if (!row) return null;
	const state = stateOf(row);
	return {
		key: {
			keyId: row.id,
			scopes: state.scopes,
			onlyMadeBy: state.origins === null ? null : row.id,
		},
		used: { ...state, secretExpiresAt: row.secret_expires_at },
		usedMinute: row.minute,
	};
}

/**
 * Notes the minute of a call. One row in each minute that has a call, whatever their number; where
 * the call writes anyway, in the same commit.
 * @param usedMinute as `findCallingKey` has it
 */
export function noteUse(
	sql: SqlStorage,
	secretHash: string,
	usedMinute: number | null,
	now: number,
): void {
	const minute = now - (now % LAST_USE_MS);
	// A clock that was set back changes nothing.
	if (usedMinute !== null && usedMinute >= minute) return;
	sql.exec(
		"UPDATE secret SET last_used_at = ? WHERE hash = ?",
		minute,
		secretHash,
	);
}

/** @param madeBy of the thing in question */
export const isVisible = (onlyMadeBy: MadeBy, madeBy: MadeBy): boolean =>
	onlyMadeBy === null || onlyMadeBy === madeBy;

const list = (json: string | null): string[] | null =>
	json === null ? null : JSON.parse(json);

const limitsOf = (row: KeyRow): KeyLimits => ({
	scopes: row.scopes.split(" ") as Scope[],
	origins: list(row.origins),
	ipRanges: list(row.ip_ranges),
	expiresAt: row.expires_at,
});

const stateOf = (row: KeyRow) => ({
	...limitsOf(row),
	revokedAt: row.revoked_at,
	suspendedAt: row.suspended_at,
});

const knownSecret = (row: SecretRow): KnownSecret => ({
	expiresAt: row.expires_at,
	name: row.rotation,
	grace: row.grace,
});

function view(
	row: KeyRow,
	secrets: readonly SecretRow[],
	now: number,
	current?: string,
): KeyView {
	const uses = secrets.flatMap(({ last_used_at }) => last_used_at ?? []);
	return {
		id: row.id,
		name: row.name,
		createdAt: row.created_at,
		...stateOf(row),
		lastUsedAt: uses.length > 0 ? Math.max(...uses) : null,
		secrets: secrets
			.filter(({ expires_at }) => expires_at === null || expires_at > now)
			.map((secret) => ({
				createdAt: secret.created_at,
				expiresAt: secret.expires_at,
				lastUsedAt: secret.last_used_at,
			})),
		current: row.id === current,
	};
}
