/**
 * The ledger's tables. Each entry holds the balances after it: the newest has the account's, and
 * the constraints check each step. Credits have rows of their own beside their entries, which stay
 * for ever: no credit id ever counts twice.
 */
import type { Result } from "../errors.ts";
import { setDueUnlessSet } from "./due.ts";
import { type Balances, BOOKS, decide, type Entry, post } from "./ledger.ts";

/** How long after an entry, at most, the ledger is audited. */
const AUDIT_WITHIN_MS = 24 * 60 * 60_000;
export const AUDIT = "ledger:audit";

export interface EntryRow
	extends Entry,
		Balances,
		Record<string, SqlStorageValue> {
	seq: number;
	at: number;
}

export function createLedgerTable(sql: SqlStorage): void {
	sql.exec(`CREATE TABLE entry (
		seq INTEGER PRIMARY KEY,
		at INTEGER NOT NULL,
		kind TEXT NOT NULL,
		ref TEXT NOT NULL,
		source TEXT NOT NULL,
		target TEXT NOT NULL,
		amount INTEGER NOT NULL CHECK (amount >= 0),
		funding INTEGER NOT NULL,
		available INTEGER NOT NULL CHECK (available >= 0),
		held INTEGER NOT NULL CHECK (held >= 0),
		revenue INTEGER NOT NULL CHECK (revenue >= 0),
		CHECK (funding + available + held + revenue = 0)
	)`);
	// The job's row makes a job's entries unique.
	sql.exec("CREATE UNIQUE INDEX credit ON entry (ref) WHERE kind = 'credit'");
}

/** The second version of the table: the rest of a hold, in the row of its settlement. */
export function addReleased(sql: SqlStorage): void {
	sql.exec(
		"ALTER TABLE entry ADD COLUMN released INTEGER NOT NULL DEFAULT 0 CHECK (released >= 0)",
	);
}

/** The fourth version: credits, beside their entries. */
export function keepCredits(sql: SqlStorage): void {
	sql.exec("DROP INDEX credit");
	sql.exec(`CREATE TABLE credit (
		id TEXT PRIMARY KEY,
		amount INTEGER NOT NULL,
		at INTEGER NOT NULL
	) WITHOUT ROWID`);
	sql.exec(
		"INSERT INTO credit SELECT ref, amount, at FROM entry WHERE kind = 'credit'",
	);
}

const NOTHING: Balances = { funding: 0, available: 0, held: 0, revenue: 0 };

export const balances = (sql: SqlStorage): Balances =>
	sql
		.exec<{ [book in keyof Balances]: number }>(
			`SELECT ${BOOKS.join(", ")} FROM entry ORDER BY seq DESC LIMIT 1`,
		)
		.toArray()[0] ?? NOTHING;

/** Adds credit once per id. Inside a transaction. */
export function addCredit(
	sql: SqlStorage,
	credit: { id: string; amount: number },
	now: number,
): Result<object> {
	return recordCredit(sql, { kind: "credit", ...credit }, now);
}

/**
 * Takes back once per id what is available. Inside a transaction.
 * @throws RangeError where less is available
 */
export function reverseCredit(
	sql: SqlStorage,
	reversal: { id: string; amount: number },
	now: number,
): void {
	recordCredit(sql, { kind: "reversal", ...reversal }, now);
}

function recordCredit(
	sql: SqlStorage,
	credit: { kind: "credit" | "reversal"; id: string; amount: number },
	now: number,
): Result<object> {
	const credited = creditOf(sql, credit.id);
	const decision = decide(
		{
			balances: balances(sql),
			credits: new Map(credited === undefined ? [] : [[credit.id, credited]]),
			holds: new Map(),
		},
		credit,
		now,
	);
	if (decision.ok && decision.entries.length > 0) {
		recordEntries(sql, decision.entries, now);
		sql.exec(
			"INSERT INTO credit (id, amount, at) VALUES (?, ?, ?)",
			credit.id,
			credit.amount,
			now,
		);
	}
	return decision;
}

/** The amount that was credited under this id; undefined where none was. */
function creditOf(sql: SqlStorage, id: string): number | undefined {
	return sql
		.exec<{ amount: number }>("SELECT amount FROM credit WHERE id = ?", id)
		.toArray()[0]?.amount;
}

/** Writes entries. Runs inside the transaction that decided them. */
export function recordEntries(
	sql: SqlStorage,
	entries: readonly Entry[],
	at: number,
): void {
	if (entries.length > 0) setDueUnlessSet(sql, AUDIT, at + AUDIT_WITHIN_MS);
	let after = balances(sql);
	for (const entry of entries) {
		after = post(after, [entry]);
		const { kind, ref, source, target, amount, released } = entry;
		sql.exec(
			`INSERT INTO entry (at, kind, ref, source, target, amount, released,
				funding, available, held, revenue) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			at,
			kind,
			ref,
			source,
			target,
			amount,
			released,
			after.funding,
			after.available,
			after.held,
			after.revenue,
		);
	}
}
