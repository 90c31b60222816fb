/**
 * The account's API keys: what each may do, and the SHA-256 of its secrets, never a secret. What
 * follows from them is decided in key-rules.ts.
 */

import { ulid } from "ulid";
import type { MadeBy } from "../contract/account.ts";
import type {
	KeyChange,
	KeyView,
	NewKey,
	Rotation,
	SpendLimits,
} from "../contract/key.ts";
import { failed, type Result } from "../errors.ts";
import type { Scope } from "../scopes.ts";
import {
	type KeyRow,
	keyRows,
	knownSecret,
	secretRows,
	stateOf,
	view,
} from "./key-rows.ts";
import {
	change,
	checkRotation,
	endedAt,
	grant,
	isAdmin,
	type UsedKey,
} from "./key-rules.ts";
import { countSpend } from "./spend-rows.ts";

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
	const { scopes, origins, ipRanges, expiresAt, spendLimits } = granted.limits;
	const id = `key_${ulid(now)}`;
	sql.exec(
		`INSERT INTO key (id, name, created_at, expires_at, scopes, origins, ip_ranges, spend_limits)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		id,
		key.name,
		now,
		expiresAt,
		scopes.join(" "),
		origins && JSON.stringify(origins),
		ipRanges && JSON.stringify(ipRanges),
		spendLimits && JSON.stringify(spendLimits),
	);
	countSpend(sql, id, spendLimits, now);
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

/**
 * Changes what a key may do, for the holder of another one, or of itself, unless no key would be
 * left that can make others. What a change leaves out stays.
 */
export function changeKey(
	sql: SqlStorage,
	holder: CallingKey,
	id: string,
	wanted: KeyChange,
	now: number,
): Result<{ key: KeyView }> {
	const rows = keyRows(sql);
	const row = rows.find((each) => each.id === id);
	if (!row) return failed({ code: "key_not_found" });
	const changed = change(stateOf(row), wanted, holder, now);
	if (!changed.ok) return changed;
	const { limits } = changed;
	const hasAdmin = rows.some((each) => {
		const state = stateOf(each);
		return isAdmin(each === row ? { ...state, ...limits } : state, now);
	});
	if (!hasAdmin) return failed({ code: "last_key" });
	const { scopes, origins, ipRanges, expiresAt, spendLimits } = limits;
	sql.exec(
		`UPDATE key SET name = ?, expires_at = ?, scopes = ?, origins = ?, ip_ranges = ?,
			spend_limits = ? WHERE id = ?`,
		wanted.name ?? row.name,
		expiresAt,
		scopes.join(" "),
		origins && JSON.stringify(origins),
		ipRanges && JSON.stringify(ipRanges),
		spendLimits && JSON.stringify(spendLimits),
		id,
	);
	countSpend(sql, id, spendLimits, now);
	return findKey(sql, id, now, holder.keyId);
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
	sql.exec("DELETE FROM key_spend WHERE key NOT IN (SELECT id FROM key)");
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
		? { ok: true, key: view(sql, row, secretRows(sql, id), now, current) }
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
		view(sql, row, secrets.get(row.id) ?? [], now, current),
	);
}

/** The key that a call carries. */
export interface CallingKey {
	keyId: string;
	scopes: readonly Scope[];
	onlyMadeBy: MadeBy;
	spendLimits: SpendLimits | null;
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
			spendLimits: state.spendLimits,
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
