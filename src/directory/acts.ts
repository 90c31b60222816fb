/**
 * What operators did: each act is noted before it is done, and its end beside it.
 *
 * Runs in the Directory, as all of directory/ does.
 */
import type { Act, ActPage, ActView } from "../contract/directory.ts";

interface ActRow extends Record<string, SqlStorageValue> {
	seq: number;
	at: number;
	method: string;
	path: string;
	ip: string | null;
	request: string;
	status: number | null;
	body: string | null;
}

export function createActTable(sql: SqlStorage): void {
	sql.exec(`CREATE TABLE act (
		seq INTEGER PRIMARY KEY,
		at INTEGER NOT NULL,
		method TEXT NOT NULL,
		path TEXT NOT NULL,
		ip TEXT,
		request TEXT NOT NULL,
		status INTEGER,
		body TEXT
	)`);
}

/** @returns the act's number */
export const insertAct = (sql: SqlStorage, act: Act, at: number): number =>
	sql
		.exec<{ seq: number }>(
			`INSERT INTO act (at, method, path, ip, request)
				VALUES (?, ?, ?, ?, ?) RETURNING seq`,
			at,
			act.method,
			act.path,
			act.ip,
			act.requestId,
		)
		.one().seq;

/** @param body what was asked for, as JSON text; null where nothing was sent */
export function closeAct(
	sql: SqlStorage,
	seq: number,
	status: number,
	body: string | null,
): void {
	sql.exec(
		"UPDATE act SET status = ?, body = ? WHERE seq = ?",
		status,
		body,
		seq,
	);
}

/** A page of the acts, newest first. */
export function pageActs(
	sql: SqlStorage,
	cursor: string | null,
	limit: number,
): ActPage {
	const rows = sql
		.exec<ActRow>(
			"SELECT * FROM act WHERE seq < ? ORDER BY seq DESC LIMIT ?",
			Number(cursor ?? Number.MAX_SAFE_INTEGER),
			limit + 1,
		)
		.toArray();
	const page = rows.slice(0, limit);
	return {
		acts: page.map(view),
		nextCursor: rows.length > limit ? String(page.at(-1)?.seq) : null,
	};
}

const view = ({
	seq,
	at,
	method,
	path,
	ip,
	request,
	status,
	body,
}: ActRow): ActView => ({
	seq,
	at,
	method,
	path,
	ip,
	requestId: request,
	status,
	body,
});
