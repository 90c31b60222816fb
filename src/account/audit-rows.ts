/** The audit's checkpoint, and its slices: each runs inside one transaction. */
import type { AuditView } from "../contract/account.ts";
import {
	type Audit,
	audit,
	auditEnd,
	type Checkpoint,
	type PostedEntry,
} from "./audit.ts";
import { openHolds } from "./jobs.ts";
import type { Balances } from "./ledger.ts";
import { balances, type EntryRow } from "./ledger-rows.ts";

/** Entries that name a credit; the others name a job. */
const CREDITS = "('credit', 'reversal')";
/** Entries of one slice: some milliseconds, for which calls wait. */
const SLICE = 1_000;

interface AuditRow extends Record<string, SqlStorageValue> {
	seq: number;
	balances: string;
	open: string;
	/** When the newest entry was reached; null before that. */
	at: number | null;
	mismatch: string | null;
}

/** The fifth version: an audit from the newest entry on. */
export function createAuditTable(sql: SqlStorage): void {
	sql.exec(`CREATE TABLE audit (
		seq INTEGER NOT NULL,
		balances TEXT NOT NULL,
		open TEXT NOT NULL,
		at INTEGER,
		mismatch TEXT
	)`);
	sql.exec("INSERT INTO audit (seq, balances, open) VALUES (0, '', '')");
	auditFromHere(sql);
}

/** Lets the audit begin after the newest entry: all before it counts as right. */
export function auditFromHere(sql: SqlStorage): void {
	const { seq } = newest(sql);
	save(sql, { seq, balances: balances(sql), open: openHolds(sql) });
	sql.exec("UPDATE audit SET mismatch = NULL");
}

/** Audits one slice. `done` once it has reached the newest entry. */
export function auditSlice(
	sql: SqlStorage,
	now: number,
): { done: boolean; mismatch: string | null } {
	const from = checkpoint(sql);
	const end = newest(sql).seq;
	const entries = entriesAfter(sql, from.seq, SLICE);
	const result: Audit =
		end < from.seq
			? { ok: false, mismatch: `entry ${from.seq}: it is missing` }
			: audit(from, entries);
	const to = result.ok ? result.checkpoint : from;
	const done = !result.ok || to.seq === end;
	const mismatch = !result.ok
		? result.mismatch
		: done
			? auditEnd(to, openHolds(sql))
			: null;
	if (mismatch !== null) noteMismatch(sql, mismatch, now);
	else {
		save(sql, to);
		if (done) sql.exec("UPDATE audit SET at = ?", now);
	}
	return { done, mismatch };
}

/** Notes what is wrong. */
export const noteMismatch = (
	sql: SqlStorage,
	mismatch: string,
	now: number,
): void => {
	sql.exec("UPDATE audit SET mismatch = ?, at = ?", mismatch, now);
};

export function auditView(sql: SqlStorage): AuditView {
	const { seq, at, mismatch } = row(sql);
	return { seq, at, mismatch };
}

const row = (sql: SqlStorage): AuditRow =>
	sql.exec<AuditRow>("SELECT * FROM audit").one();

function checkpoint(sql: SqlStorage): Checkpoint {
	const { seq, balances, open } = row(sql);
	return {
		seq,
		balances: JSON.parse(balances) as Balances,
		open: new Map(JSON.parse(open) as [string, number][]),
	};
}

const save = (sql: SqlStorage, { seq, balances, open }: Checkpoint): void => {
	sql.exec(
		"UPDATE audit SET seq = ?, balances = ?, open = ?",
		seq,
		JSON.stringify(balances),
		JSON.stringify([...open]),
	);
};

const newest = (sql: SqlStorage): { seq: number } =>
	sql
		.exec<{ seq: number }>(
			"SELECT coalesce((SELECT seq FROM entry ORDER BY seq DESC LIMIT 1), 0) AS seq",
		)
		.one();

/** The entries after this one, the oldest first, each with its job's row or its credit's. */
function entriesAfter(
	sql: SqlStorage,
	seq: number,
	limit: number,
): PostedEntry[] {
	interface Joined extends EntryRow {
		job_hold: number | null;
		job_created_at: number | null;
		job_price: number | null;
		job_balance: number | null;
		job_settled_at: number | null;
		credited: number | null;
		credited_at: number | null;
	}
	const columns = ["hold", "created_at", "price", "balance", "settled_at"]
		.map(
			(name) =>
				`iif(job.id IS NULL, gone_job.${name}, job.${name}) AS job_${name}`,
		)
		.join(", ");
	return sql
		.exec<Joined>(
			`SELECT entry.*, ${columns}, credit.amount AS credited, credit.at AS credited_at
				FROM entry
				LEFT JOIN job ON entry.kind NOT IN ${CREDITS} AND job.id = entry.ref
				LEFT JOIN gone_job ON entry.kind NOT IN ${CREDITS} AND gone_job.id = entry.ref
				LEFT JOIN credit ON entry.kind IN ${CREDITS} AND credit.id = entry.ref
				WHERE entry.seq > ? ORDER BY entry.seq LIMIT ?`,
			seq,
			limit,
		)
		.toArray()
		.map((row) => ({
			seq: row.seq,
			at: row.at,
			kind: row.kind,
			ref: row.ref,
			source: row.source,
			target: row.target,
			amount: row.amount,
			released: row.released,
			balances: {
				funding: row.funding,
				available: row.available,
				held: row.held,
				revenue: row.revenue,
			},
			record: recordOf(row),
		}));

	function recordOf(row: Joined): PostedEntry["record"] {
		if (row.credited !== null && row.credited_at !== null)
			return { amount: row.credited, at: row.credited_at };
		if (row.job_hold === null || row.job_created_at === null) return null;
		const closed =
			row.job_price === null ||
			row.job_balance === null ||
			row.job_settled_at === null
				? null
				: {
						price: row.job_price,
						balance: row.job_balance,
						at: row.job_settled_at,
					};
		return { hold: row.job_hold, createdAt: row.job_created_at, closed };
	}
}
