/** The ledger's tables: the entries, and one row with the balances, which are their sums. */
import type { Result } from "../errors.ts";
import { type Balances, decide, type Entry, post } from "./ledger.ts";

export function createLedgerTables(sql: SqlStorage): void {
	sql.exec(`CREATE TABLE entry (
		seq INTEGER PRIMARY KEY,
		at INTEGER NOT NULL,
		kind TEXT NOT NULL,
		ref TEXT NOT NULL,
		source TEXT NOT NULL,
		target TEXT NOT NULL,
		amount INTEGER NOT NULL CHECK (amount >= 0),
		UNIQUE (ref, kind)
	)`);
	sql.exec(`CREATE TABLE balance (
		funding INTEGER NOT NULL,
		available INTEGER NOT NULL CHECK (available >= 0),
		held INTEGER NOT NULL CHECK (held >= 0),
		revenue INTEGER NOT NULL CHECK (revenue >= 0),
		CHECK (funding + available + held + revenue = 0)
	)`);
	sql.exec("INSERT INTO balance VALUES (0, 0, 0, 0)");
}

export function balances(sql: SqlStorage): Balances {
	return sql
		.exec<{
			funding: number;
			available: number;
			held: number;
			revenue: number;
		}>("SELECT * FROM balance")
		.one();
}

/** Adds credit once per id. Inside a transaction. */
export function addCredit(
	sql: SqlStorage,
	credit: { id: string; amount: number },
	now: number,
): Result<object> {
	const credited = creditOf(sql, credit.id);
	const decision = decide(
		{
			balances: balances(sql),
			credits: new Map(credited === undefined ? [] : [[credit.id, credited]]),
			holds: new Map(),
		},
		{ kind: "credit", ...credit },
		now,
	);
	if (decision.ok) recordEntries(sql, decision.entries, now);
	return decision;
}

/** The amount that was credited under this id; undefined where none was. */
function creditOf(sql: SqlStorage, id: string): number | undefined {
	return sql
		.exec<{ amount: number }>(
			"SELECT amount FROM entry WHERE kind = 'credit' AND ref = ?",
			id,
		)
		.toArray()[0]?.amount;
}

/** Writes entries and the balances after them. Runs inside the transaction that decided them. */
export function recordEntries(
	sql: SqlStorage,
	entries: readonly Entry[],
	at: number,
): void {
	if (entries.length === 0) return;
	for (const { kind, ref, source, target, amount } of entries)
		sql.exec(
			"INSERT INTO entry (at, kind, ref, source, target, amount) VALUES (?, ?, ?, ?, ?, ?)",
			at,
			kind,
			ref,
			source,
			target,
			amount,
		);
	const after = post(balances(sql), entries);
	sql.exec(
		"UPDATE balance SET funding = ?, available = ?, held = ?, revenue = ?",
		after.funding,
		after.available,
		after.held,
		after.revenue,
	);
}
