/** The accounts that the Directory lists. */
import { createHash } from "node:crypto";
import type {
	DirectoryEntry,
	DirectoryPage,
	DirectoryQuery,
	Person,
} from "../contract/directory.ts";

interface EntryRow extends Record<string, SqlStorageValue> {
	/** Rises with each entry: the newest is listed first. */
	seq: number;
	id: string;
	name: string;
	created_at: number;
	issuer: string | null;
	subject: string | null;
	welcome: number;
}

export function createEntryTable(sql: SqlStorage): void {
	sql.exec(`CREATE TABLE account (
		seq INTEGER PRIMARY KEY,
		id TEXT NOT NULL UNIQUE,
		name TEXT NOT NULL,
		created_at INTEGER NOT NULL,
		issuer TEXT,
		subject TEXT,
		welcome INTEGER NOT NULL CHECK (welcome >= 0),
		CHECK ((issuer IS NULL) = (subject IS NULL)),
		UNIQUE (issuer, subject)
	)`);
}

/** Lists an account. A repeat changes nothing. */
export function insertEntry(
	sql: SqlStorage,
	{ id, name, createdAt, person, welcome }: DirectoryEntry,
): void {
	sql.exec(
		`INSERT INTO account (id, name, created_at, issuer, subject, welcome)
			VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`,
		id,
		name,
		createdAt,
		person?.issuer ?? null,
		person?.subject ?? null,
		welcome,
	);
}

export const entryOf = (sql: SqlStorage, id: string): DirectoryEntry | null =>
	first(sql.exec<EntryRow>("SELECT * FROM account WHERE id = ?", id));

export const findPerson = (
	sql: SqlStorage,
	{ issuer, subject }: Person,
): DirectoryEntry | null =>
	first(
		sql.exec<EntryRow>(
			"SELECT * FROM account WHERE issuer = ? AND subject = ?",
			issuer,
			subject,
		),
	);

/** A page of the accounts that the text fits, newest first. */
export function pageEntries(
	sql: SqlStorage,
	{ text, cursor, limit }: DirectoryQuery,
): DirectoryPage {
	const rows = sql
		.exec<EntryRow>(
			`SELECT * FROM account
				WHERE seq < ?1 AND (instr(lower(name), lower(?2)) > 0 OR instr(id, ?2) = 1
					OR instr(subject, ?2) = 1)
				ORDER BY seq DESC LIMIT ?3`,
			Number(cursor ?? Number.MAX_SAFE_INTEGER),
			text,
			limit + 1,
		)
		.toArray();
	const page = rows.slice(0, limit);
	return {
		entries: page.map(entry),
		nextCursor: rows.length > limit ? String(page.at(-1)?.seq) : null,
	};
}

const first = (cursor: SqlStorageCursor<EntryRow>): DirectoryEntry | null => {
	const [row] = cursor.toArray();
	return row ? entry(row) : null;
};

const entry = (row: EntryRow): DirectoryEntry => ({
	id: row.id,
	name: row.name,
	createdAt: row.created_at,
	person:
		row.issuer !== null && row.subject !== null
			? { issuer: row.issuer, subject: row.subject }
			: null,
	welcome: row.welcome,
});

/** To version 2: accounts are closed, and who closed one is not welcomed again. */
export function createLeftTable(sql: SqlStorage): void {
	sql.exec("CREATE TABLE person_left (hash TEXT PRIMARY KEY) WITHOUT ROWID");
}

/**
 * Forgets whose account it is, and its name. Repeatable. What is kept of the person is a hash, by
 * which the credit of a first sign-in stays one.
 */
export function forgetEntry(sql: SqlStorage, id: string): void {
	const person = entryOf(sql, id)?.person;
	if (person)
		sql.exec(
			"INSERT OR IGNORE INTO person_left (hash) VALUES (?)",
			hashOf(person),
		);
	sql.exec(
		"UPDATE account SET name = '', issuer = NULL, subject = NULL WHERE id = ?",
		id,
	);
}

/** Whether the person had an account before, and closed it. */
export const hasLeft = (sql: SqlStorage, person: Person): boolean =>
	sql.exec("SELECT 1 FROM person_left WHERE hash = ?", hashOf(person)).toArray()
		.length > 0;

const hashOf = ({ issuer, subject }: Person): string =>
	createHash("sha256")
		.update(JSON.stringify([issuer, subject]))
		.digest("hex");
