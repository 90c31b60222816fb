/** The parts of the ledger that lie in the bucket, and the entries that go there. */
import type { PartRef, StatementPage } from "../contract/ledger.ts";
import type {
	BookBalances,
	LedgerRow,
	SignedSnapshot,
} from "../contract/ledger-part.ts";
import { setDueUnlessSet } from "./due.ts";
import { PART, rollsAt } from "./rollover.ts";

export const ROLL = "ledger:roll";
/** Entries deleted in one transaction. */
const DELETED_AT_ONCE = 1_000;
/** Parts that one page of the statement reads. */
const PARTS_AT_ONCE = 2;

interface PartRow extends Record<string, SqlStorageValue> {
	first_seq: number;
	last_seq: number;
	/** The least and the greatest time of its entries. */
	first_at: number;
	last_at: number;
	key: string;
	bytes: number;
	/** A `SignedSnapshot`, JSON. */
	signed: string;
}

/** The sixth version. */
export function createPartTable(sql: SqlStorage): void {
	sql.exec(`CREATE TABLE ledger_part (
		first_seq INTEGER PRIMARY KEY,
		last_seq INTEGER NOT NULL,
		first_at INTEGER NOT NULL,
		last_at INTEGER NOT NULL,
		key TEXT NOT NULL,
		bytes INTEGER NOT NULL,
		signed TEXT NOT NULL
	)`);
}

const lastPart = (sql: SqlStorage): PartRow | undefined =>
	sql
		.exec<PartRow>("SELECT * FROM ledger_part ORDER BY first_seq DESC LIMIT 1")
		.toArray()[0];

/** The last entry that is in the bucket; 0 where none is. It may still be in the table too. */
export const rolledUpTo = (sql: SqlStorage): number =>
	lastPart(sql)?.last_seq ?? 0;

/** The balances before the first entry that is not in the bucket. */
export function balancesBefore(sql: SqlStorage): BookBalances {
	const part = lastPart(sql);
	return part
		? (JSON.parse(part.signed) as SignedSnapshot).snapshot.after
		: { funding: 0, available: 0, held: 0, revenue: 0 };
}

/** The oldest entries that are not in the bucket: those of a part, and one more. */
export const oldestRows = (
	sql: SqlStorage,
): (LedgerRow & Record<string, SqlStorageValue>)[] =>
	sql
		.exec<LedgerRow & Record<string, SqlStorageValue>>(
			`SELECT seq, at, kind, ref, source, target, amount, released, funding, available, held,
				revenue FROM entry WHERE seq > ? ORDER BY seq LIMIT ?`,
			rolledUpTo(sql),
			PART + 1,
		)
		.toArray();

/** When the oldest entry may go to the bucket; null where that is not settled yet. */
export function nextRoll(sql: SqlStorage): number | null {
	const [oldest, newest] = ["ASC", "DESC"].map(
		(order) =>
			sql
				.exec<{ at: number }>(
					`SELECT at FROM entry WHERE seq > ? ORDER BY seq ${order} LIMIT 1`,
					rolledUpTo(sql),
				)
				.toArray()[0],
	);
	return oldest && newest ? rollsAt(oldest, newest) : null;
}

/** Lets the alarm roll the ledger over in its time. */
export function setRollDue(sql: SqlStorage, now: number): void {
	const at = nextRoll(sql);
	if (at !== null) setDueUnlessSet(sql, ROLL, Math.max(at, now));
}

/** Whether a job of these entries is open. */
export const hasOpenHold = (
	sql: SqlStorage,
	from: number,
	to: number,
): boolean =>
	sql
		.exec(
			`SELECT 1 FROM entry CROSS JOIN job ON job.id = entry.ref
				WHERE entry.seq BETWEEN ? AND ? AND kind = 'hold' AND settled_at IS NULL LIMIT 1`,
			from,
			to,
		)
		.toArray().length > 0;

/** From now on these entries are in the bucket: the statement reads them there. */
export function recordPart(
	sql: SqlStorage,
	rows: readonly LedgerRow[],
	key: string,
	bytes: number,
	signed: SignedSnapshot,
): void {
	const times = rows.map(({ at }) => at);
	const { first_seq, last_seq } = signed.snapshot;
	sql.exec(
		`INSERT INTO ledger_part (first_seq, last_seq, first_at, last_at, key, bytes, signed)
			VALUES (?, ?, ?, ?, ?, ?, ?)`,
		first_seq,
		last_seq,
		Math.min(...times),
		Math.max(...times),
		key,
		bytes,
		JSON.stringify(signed),
	);
}

/** Deletes some entries that are in the bucket. @returns whether there were any */
export const deleteRolled = (sql: SqlStorage): boolean =>
	sql.exec(
		`DELETE FROM entry WHERE seq IN
			(SELECT seq FROM entry WHERE seq <= ? ORDER BY seq LIMIT ?)`,
		rolledUpTo(sql),
		DELETED_AT_ONCE,
	).rowsWritten > 0;

/** The parts with entries below this number and of these times, newest first; and whether more. */
export function partsBelow(
	sql: SqlStorage,
	below: number,
	{ after, before }: Pick<StatementPage, "after" | "before">,
): { parts: PartRef[]; more: boolean } {
	const rows = sql
		.exec<PartRow>(
			`SELECT * FROM ledger_part WHERE first_seq < ? AND last_at >= ? AND first_at < ?
				ORDER BY first_seq DESC LIMIT ?`,
			below,
			after ?? 0,
			before ?? Number.MAX_SAFE_INTEGER,
			PARTS_AT_ONCE + 1,
		)
		.toArray();
	return {
		parts: rows
			.slice(0, PARTS_AT_ONCE)
			.map(({ key, bytes, signed, first_seq }) => ({
				key,
				bytes,
				firstSeq: first_seq,
				sha256: (JSON.parse(signed) as SignedSnapshot).snapshot.sha256,
			})),
		more: rows.length > PARTS_AT_ONCE,
	};
}
