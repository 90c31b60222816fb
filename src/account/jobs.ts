/** The account's job index: what was admitted, what it holds, how it ended. */
import type { ImageRef, JobIndexRow, Outcome } from "./contract.ts";
import type { Closing, Hold } from "./ledger.ts";

/** A held image, before the account's cache secret turned its hash into a cache id. */
export type HeldImage = Omit<ImageRef, "cacheId">;

export interface IndexedJob {
	id: string;
	bodyHash: string;
	model: string;
	images: HeldImage[];
	createdAt: number;
	status: JobIndexRow["status"];
	/** The edge died between admission and claim: the job never ran and never will. */
	void: boolean;
	hold: Hold;
}

interface JobRow extends Record<string, SqlStorageValue> {
	seq: number;
	id: string;
	body_hash: string;
	model: string;
	images: string;
	hold: number;
	created_at: number;
	status: JobIndexRow["status"];
	void: number;
	price: number | null;
	balance: number | null;
	settled_at: number | null;
}

export function createJobTable(sql: SqlStorage): void {
	sql.exec(`CREATE TABLE job (
		seq INTEGER PRIMARY KEY,
		id TEXT NOT NULL UNIQUE,
		body_hash TEXT NOT NULL,
		model TEXT NOT NULL,
		images TEXT NOT NULL,
		hold INTEGER NOT NULL,
		created_at INTEGER NOT NULL,
		status TEXT NOT NULL DEFAULT 'accepted',
		void INTEGER NOT NULL DEFAULT 0,
		price INTEGER,
		balance INTEGER,
		settled_at INTEGER
	)`);
}

export function insertJob(
	sql: SqlStorage,
	job: {
		id: string;
		bodyHash: string;
		model: string;
		images: HeldImage[];
		hold: number;
		createdAt: number;
	},
): void {
	sql.exec(
		"INSERT INTO job (id, body_hash, model, images, hold, created_at) VALUES (?, ?, ?, ?, ?, ?)",
		job.id,
		job.bodyHash,
		job.model,
		JSON.stringify(job.images),
		job.hold,
		job.createdAt,
	);
}

export function closeJob(
	sql: SqlStorage,
	id: string,
	ended: { status: Outcome["status"]; void: boolean },
	closing: Closing,
): void {
	sql.exec(
		"UPDATE job SET status = ?, void = ?, price = ?, balance = ?, settled_at = ? WHERE id = ?",
		ended.status,
		ended.void ? 1 : 0,
		closing.price,
		closing.balance,
		closing.at,
		id,
	);
}

export function findJob(sql: SqlStorage, id: string): IndexedJob | null {
	const row = sql
		.exec<JobRow>("SELECT * FROM job WHERE id = ?", id)
		.toArray()[0];
	return row ? indexed(row) : null;
}

/** A page of the index, newest first. The cursor is opaque and stays good while jobs come in. */
export function pageJobs(
	sql: SqlStorage,
	cursor: string | null,
	limit: number,
): { jobs: JobIndexRow[]; nextCursor: string | null } | null {
	const before = cursor === null ? Number.MAX_SAFE_INTEGER : positionOf(cursor);
	if (before === null) return null;
	const rows = sql
		.exec<JobRow>(
			"SELECT * FROM job WHERE seq < ? ORDER BY seq DESC LIMIT ?",
			before,
			limit + 1,
		)
		.toArray();
	const page = rows.slice(0, limit);
	const last = page.at(-1);
	return {
		jobs: page.map((row) => rowOf(indexed(row))),
		nextCursor: rows.length > limit && last ? cursorOf(last.seq) : null,
	};
}

export const rowOf = (job: IndexedJob): JobIndexRow => ({
	id: job.id,
	model: job.model,
	status: job.status,
	createdAt: new Date(job.createdAt).toISOString(),
	price: job.hold.closed?.price ?? null,
});

const indexed = (row: JobRow): IndexedJob => ({
	id: row.id,
	bodyHash: row.body_hash,
	model: row.model,
	images: JSON.parse(row.images) as HeldImage[],
	createdAt: row.created_at,
	status: row.status,
	void: row.void === 1,
	hold: {
		amount: row.hold,
		closed:
			row.price === null || row.balance === null || row.settled_at === null
				? null
				: { price: row.price, balance: row.balance, at: row.settled_at },
	},
});

const cursorOf = (seq: number): string => `j${seq.toString(36)}`;

function positionOf(cursor: string): number | null {
	const digits = /^j([0-9a-z]{1,10})$/.exec(cursor)?.[1];
	return digits ? Number.parseInt(digits, 36) : null;
}
