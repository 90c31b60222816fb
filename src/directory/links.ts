/** Links that sign in once: the SHA-256 of each one's code, never the code. */

export function createLinkTable(sql: SqlStorage): void {
	sql.exec(`CREATE TABLE link (
		hash TEXT PRIMARY KEY,
		account TEXT NOT NULL,
		expires_at INTEGER NOT NULL
	) WITHOUT ROWID`);
}

export function addLink(
	sql: SqlStorage,
	link: { account: string; hash: string; expiresAt: number },
	now: number,
): void {
	sql.exec("DELETE FROM link WHERE expires_at <= ?", now);
	sql.exec(
		"INSERT INTO link (hash, account, expires_at) VALUES (?, ?, ?)",
		link.hash,
		link.account,
		link.expiresAt,
	);
}

/** The account of a link, which ends with this; null for one that ended before. */
export function useLink(
	sql: SqlStorage,
	hash: string,
	now: number,
): string | null {
	const [used] = sql
		.exec<{ account: string; expires_at: number }>(
			"DELETE FROM link WHERE hash = ? RETURNING account, expires_at",
			hash,
		)
		.toArray();
	return used && used.expires_at > now ? used.account : null;
}
