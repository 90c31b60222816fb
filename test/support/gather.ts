/**
 * Reads the objects' own tables into what the invariants are about, through any connection to their
 * SQLite.
 */
import type { Balances, Entry } from "../../src/account/ledger.ts";
import type { LogEvent } from "../../src/contract/job.ts";
import { unfold } from "../../src/job/fold.ts";
import type {
	Gathered,
	GatheredAccount,
	GatheredJob,
	IndexedJob,
} from "./invariants.ts";

// biome-ignore lint/suspicious/noExplicitAny: rows are what their tables say
export type Query = (sql: string) => any[];

export function accountFrom(query: Query): GatheredAccount | null {
	if (!has(query, "account")) return null;
	const one = <T>(sql: string) => query(sql)[0] as T;
	return {
		id: one<{ id: string }>("SELECT id FROM account").id,
		balances: (query(
			"SELECT funding, available, held, revenue FROM entry ORDER BY seq DESC LIMIT 1",
		)[0] ?? { funding: 0, available: 0, held: 0, revenue: 0 }) as Balances,
		entries: query(
			"SELECT kind, ref, source, target, amount, released FROM entry ORDER BY seq",
		) as Entry[],
		jobs: query(
			`SELECT id, status, 0 AS gone, hold, price FROM job
				UNION ALL SELECT id, status, 1 AS gone, hold, price FROM gone_job ORDER BY id`,
		).map((row) => ({ ...row, gone: row.gone === 1 }) as IndexedJob),
		uploads: query("SELECT id, status, key FROM upload"),
		deletedImages: query("SELECT id FROM upload WHERE status = 'deleted'").map(
			({ id }) => id,
		),
		due: query(
			`SELECT key FROM due UNION ALL
				SELECT iif(settled_at IS NULL, 'orphan:', 'expire:') || id AS key FROM job`,
		).map(({ key }) => key),
		mismatch: one<{ mismatch: string | null }>("SELECT mismatch FROM audit")
			.mismatch,
	};
}

/** @param name where a tombstone does not say whose it is */
export function jobFrom(
	query: Query,
	name?: { account: string; id: string },
): GatheredJob | null {
	if (!has(query, "event") || has(query, "account")) return null;
	const rows = query("SELECT * FROM event ORDER BY seq");
	const spec = rows.find((row) => row.spec !== null)?.spec;
	const known = JSON.parse(spec ?? rows[0]?.data ?? "null");
	if (!spec) {
		const { account, id } = name ?? { account: "", id: known?.jobId ?? "" };
		return { account, id, log: null, tokens: 0, maxTokens: 0, spec: null };
	}
	return {
		account: known.account,
		id: known.id,
		log: rows.flatMap(({ seq, type, data }): LogEvent[] =>
			type === "folded" ? unfold({ seq, data }) : [{ seq, type, data }],
		),
		tokens: rows.reduce(
			(sum, { token_ids }) => sum + countOf(JSON.parse(token_ids ?? "0")),
			0,
		),
		maxTokens: known.sampling.max_tokens,
		spec: known,
	};
}

export function poolFrom(query: Query): Gathered["pools"][number] {
	const jobs = (table: string): string[] =>
		query(`SELECT job FROM ${table}`).map(({ job }) => job);
	const [pool] = query("SELECT model FROM pool");
	return {
		model: pool?.model ?? "none",
		leased: jobs("lease"),
		waiting: jobs("queue"),
	};
}

/** A backend that names no ids is counted all the same. */
const countOf = (ids: number[] | number): number =>
	typeof ids === "number" ? ids : ids.length;

const has = (query: Query, table: string): boolean =>
	query(
		`SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = '${table}'`,
	).length > 0;
