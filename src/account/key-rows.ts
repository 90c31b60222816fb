/** The tables of keys and their secrets, and how their rows are read. */
import type { KeyLimits, KeyView } from "../contract/key.ts";
import { PAGE_SCOPES, SCOPES, type Scope } from "../scopes.ts";
import type { KnownSecret } from "./key-rules.ts";
import { spentAt } from "./spend.ts";
import { spendOf } from "./spend-rows.ts";

export interface KeyRow extends Record<string, SqlStorageValue> {
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
	/** JSON; null is none. */
	spend_limits: string | null;
}

export interface SecretRow extends Record<string, SqlStorageValue> {
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

/** All keys, oldest first, or the one with this id. */
export const keyRows = (sql: SqlStorage, id: string | null = null): KeyRow[] =>
	(id === null
		? sql.exec<KeyRow>("SELECT * FROM key ORDER BY created_at, id")
		: sql.exec<KeyRow>("SELECT * FROM key WHERE id = ?", id)
	).toArray();

/** The secrets of all keys, or of one, the newest of each first. */
export const secretRows = (
	sql: SqlStorage,
	key: string | null = null,
): SecretRow[] =>
	(key === null
		? sql.exec<SecretRow>("SELECT * FROM secret")
		: sql.exec<SecretRow>("SELECT * FROM secret WHERE key = ?", key)
	)
		.toArray()
		.sort(
			(a, b) => b.created_at - a.created_at || (a.expires_at === null ? -1 : 1),
		);

const list = (json: string | null): string[] | null =>
	json === null ? null : JSON.parse(json);

const limitsOf = (row: KeyRow): KeyLimits => ({
	scopes: row.scopes.split(" ") as Scope[],
	origins: list(row.origins),
	ipRanges: list(row.ip_ranges),
	expiresAt: row.expires_at,
	spendLimits: row.spend_limits === null ? null : JSON.parse(row.spend_limits),
});

export const stateOf = (row: KeyRow) => ({
	...limitsOf(row),
	revokedAt: row.revoked_at,
	suspendedAt: row.suspended_at,
});

export const knownSecret = (row: SecretRow): KnownSecret => ({
	expiresAt: row.expires_at,
	name: row.rotation,
	grace: row.grace,
});

export function view(
	sql: SqlStorage,
	row: KeyRow,
	secrets: readonly SecretRow[],
	now: number,
	current?: string,
): KeyView {
	const { spendLimits } = limitsOf(row);
	const spend = spendLimits && spendOf(sql, row.id, spendLimits, now);
	const uses = secrets.flatMap(({ last_used_at }) => last_used_at ?? []);
	return {
		id: row.id,
		name: row.name,
		createdAt: row.created_at,
		...stateOf(row),
		spend: spend && {
			...spentAt(spend.spent, now),
			held: spend.held,
			since: spend.since,
		},
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
