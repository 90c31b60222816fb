/** The account's job index: what was admitted, what it holds, how it ended. */

import type {
	ImageRef,
	JobHook,
	JobIndexRow,
	MadeBy,
	Outcome,
	SentImage,
} from "../contract/account.ts";
import { failed, type Result } from "../errors.ts";
import { firstJobId } from "../ids.ts";
import type { Item, Prices } from "../pricing/prices.ts";
import { isVisible } from "./keys.ts";
import type { Closing, Hold } from "./ledger.ts";

/** A job's image, before the account's cache secret turned its hash into a cache id. */
export interface HeldImage extends Omit<ImageRef, "cacheId"> {
	/** How the caller sent it: what tells a repeat of the request. */
	sent: Omit<SentImage, "upload"> & {
		/** It came with a job, and goes with the last job that has it. */
		inline: boolean;
		/** It came with an earlier job of the conversation, not with this one's request. */
		before?: true;
	};
}

export interface IndexedJob {
	id: string;
	bodyHash: string;
	model: string;
	images: HeldImage[];
	createdAt: number;
	status: JobIndexRow["status"];
	/**
	 * Deleted, expired, or admitted and never started: nothing of it is shown, and its id never runs
	 * again.
	 */
	gone: boolean;
	/** Seconds from its end for which it is kept. */
	expiresIn: number;
	/** Under which it was admitted; null once it is gone, and for jobs of a fixed price. */
	prices: Prices | null;
	hold: Hold;
	/** Its own webhook, and the events that the webhook wants. */
	webhook: Pick<JobHook, "id" | "events"> | null;
	/** See `MadeBy`. */
	madeBy: MadeBy;
	/** The key that it was admitted with; null once it is gone, and before that was noted. */
	key: string | null;
}

/** What stays of a job for ever. */
interface GoneRow extends Record<string, SqlStorageValue> {
	id: string;
	body_hash: string;
	model: string;
	hold: number;
	created_at: number;
	status: JobIndexRow["status"];
	expires_in: number;
	price: number | null;
	balance: number | null;
	settled_at: number | null;
	made_by: string | null;
}

interface JobRow extends GoneRow {
	seq: number;
	images: string;
	webhook: string | null;
	repeats: number;
	prices: string | null;
	key: string | null;
}

/** What a job loses when it is erased. */
const ERASED = {
	seq: 0,
	images: "[]",
	webhook: null,
	repeats: 0,
	prices: null,
	key: null,
};

export function createJobTables(sql: SqlStorage): void {
	sql.exec(`CREATE TABLE job (
		seq INTEGER PRIMARY KEY,
		id TEXT NOT NULL UNIQUE,
		body_hash TEXT NOT NULL,
		model TEXT NOT NULL,
		images TEXT NOT NULL,
		hold INTEGER NOT NULL,
		created_at INTEGER NOT NULL,
		status TEXT NOT NULL DEFAULT 'accepted',
		expires_in INTEGER NOT NULL,
		due_at INTEGER NOT NULL,
		price INTEGER,
		balance INTEGER,
		settled_at INTEGER,
		webhook TEXT,
		call_hash TEXT,
		repeats INTEGER NOT NULL DEFAULT 0,
		made_by TEXT
	)`);
	// An index entry is a row that is paid. Each job is in one of these two at a time.
	sql.exec("CREATE INDEX job_open ON job (due_at) WHERE settled_at IS NULL");
	sql.exec(
		"CREATE INDEX job_settled ON job (due_at) WHERE settled_at IS NOT NULL",
	);
	// Only jobs of keys that see no others are in it: it costs the rest nothing.
	sql.exec(
		"CREATE INDEX job_of_key ON job (made_by, seq) WHERE made_by IS NOT NULL",
	);
	// Apart, so that a page of the index never reads past jobs that are gone.
	sql.exec(`CREATE TABLE gone_job (
		id TEXT PRIMARY KEY,
		body_hash TEXT NOT NULL,
		model TEXT NOT NULL,
		hold INTEGER NOT NULL,
		created_at INTEGER NOT NULL,
		status TEXT NOT NULL,
		expires_in INTEGER NOT NULL,
		price INTEGER,
		balance INTEGER,
		settled_at INTEGER,
		made_by TEXT
	) WITHOUT ROWID`);
}

/** The second version of the table: the prices under which each job was admitted. */
export function addPrices(sql: SqlStorage): void {
	sql.exec("ALTER TABLE job ADD COLUMN prices TEXT");
}

export function insertJob(
	sql: SqlStorage,
	job: {
		id: string;
		bodyHash: string;
		model: string;
		images: HeldImage[];
		prices: Prices;
		hold: number;
		createdAt: number;
		expiresIn: number;
		/** When the account asks the Job, if it has not settled by then. */
		dueAt: number;
		webhook: JobHook | null;
		callHash: string | null;
		madeBy: MadeBy;
		key: string;
		/** Which task it does; null for a question of the caller's own. */
		task: string | null;
	},
): void {
	sql.exec(
		`INSERT INTO job (id, body_hash, model, images, hold, created_at, expires_in, due_at, webhook,
			call_hash, made_by, prices, key, task)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		job.id,
		job.bodyHash,
		job.model,
		JSON.stringify(job.images),
		job.hold,
		job.createdAt,
		job.expiresIn,
		job.dueAt,
		job.webhook &&
			JSON.stringify({ id: job.webhook.id, events: job.webhook.events }),
		job.callHash,
		job.madeBy,
		JSON.stringify(job.prices),
		job.key,
		job.task,
	);
}

/** @param expiresAt milliseconds since 1970 */
export function closeJob(
	sql: SqlStorage,
	id: string,
	status: Outcome["status"],
	closing: Closing,
	used: Record<Item, number>,
	expiresAt: number,
): void {
	sql.exec(
		`UPDATE job SET status = ?, price = ?, balance = ?, settled_at = ?, due_at = ?,
			prompt_tokens = ?, output_tokens = ?, image_count = ? WHERE id = ?`,
		status,
		closing.price,
		closing.balance,
		closing.at,
		expiresAt,
		used.prompt_tokens,
		used.output_tokens,
		used.images,
		id,
	);
}

/** The id, body hash and price stay for ever. */
export function markGone(sql: SqlStorage, id: string): void {
	sql.exec(
		`INSERT INTO gone_job SELECT id, body_hash, model, hold, created_at, status, expires_in,
			price, balance, settled_at, made_by FROM job WHERE id = ?`,
		id,
	);
	sql.exec("DELETE FROM job WHERE id = ?", id);
}

export function findJob(sql: SqlStorage, id: string): IndexedJob | null {
	const row = sql
		.exec<JobRow>("SELECT * FROM job WHERE id = ?", id)
		.toArray()[0];
	if (row) return indexed(row);
	const gone = sql
		.exec<GoneRow>("SELECT * FROM gone_job WHERE id = ?", id)
		.toArray()[0];
	return gone ? { ...indexed({ ...gone, ...ERASED }), gone: true } : null;
}

/**
 * Whether a job that has not settled has this image, which keeps its object. Reads every open job:
 * deletions are rare, and a row that said so would be paid by each job.
 */
export const isHeldByJob = (sql: SqlStorage, upload: string): boolean =>
	sql
		.exec(
			`SELECT 1 FROM job INDEXED BY job_open, json_each(images)
				WHERE settled_at IS NULL AND value ->> 'upload' = ? LIMIT 1`,
			upload,
		)
		.toArray().length > 0;

/** Jobs that have not settled, counted up to `most`. */
export const countOpenJobs = (sql: SqlStorage, most: number): number =>
	sql
		.exec<{ count: number }>(
			`SELECT count(*) AS count FROM
				(SELECT 1 FROM job INDEXED BY job_open WHERE settled_at IS NULL LIMIT ?)`,
			most,
		)
		.one().count;

/** What each job holds that has not settled, by its id. */
export const openHolds = (sql: SqlStorage): Map<string, number> =>
	new Map(
		sql
			.exec<{ id: string; hold: number }>(
				`SELECT id, hold FROM job INDEXED BY job_open
					WHERE settled_at IS NULL AND hold > 0`,
			)
			.toArray()
			.map(({ id, hold }) => [id, hold]),
	);

/** When a job is due: an open one to be asked, a settled one to be erased. */
export interface DueJob extends Record<string, SqlStorageValue> {
	id: string;
	/** Milliseconds since 1970. */
	at: number;
}

/** The jobs of one kind that are due by `now`, the oldest first. */
export const jobsDueBy = (
	sql: SqlStorage,
	kind: "open" | "settled",
	now: number,
	limit: number,
): DueJob[] =>
	sql
		.exec<DueJob>(
			`SELECT id, due_at AS at FROM job INDEXED BY job_${kind}
				WHERE settled_at IS ${kind === "open" ? "NULL" : "NOT NULL"} AND due_at <= ?
				ORDER BY due_at LIMIT ?`,
			now,
			limit,
		)
		.toArray();

/** When the first job of a kind is due, or null where there is none. */
export const firstJobDue = (
	sql: SqlStorage,
	kind: "open" | "settled",
): number | null =>
	jobsDueBy(sql, kind, Number.MAX_SAFE_INTEGER, 1)[0]?.at ?? null;

/** Moves a job's due time, unless the job settled or moved meanwhile. */
export function rescheduleJob(
	sql: SqlStorage,
	kind: "open" | "settled",
	{ id, at }: DueJob,
	next: number,
): void {
	sql.exec(
		`UPDATE job SET due_at = ? WHERE id = ? AND due_at = ?
			AND settled_at IS ${kind === "open" ? "NULL" : "NOT NULL"}`,
		next,
		id,
		at,
	);
}

/** Sets when a settled job is erased. */
export function setExpiry(sql: SqlStorage, id: string, at: number): void {
	sql.exec(
		"UPDATE job SET due_at = ? WHERE id = ? AND settled_at IS NOT NULL",
		at,
		id,
	);
}

/** For how long a call can be repeated. */
const REPEATABLE_MS = 10 * 60_000;

/**
 * The job of a call that is repeated: of equal calls in the last ten minutes, the one to repeat.
 */
export function jobOfCall(
	sql: SqlStorage,
	callHash: string,
	now: number,
): IndexedJob | null {
	const since = now - REPEATABLE_MS;
	const rows = sql
		// By their ids, which begin with the time, so that no other index is needed. Callers make ids
		// too, with any time: hence also by `created_at`.
		.exec<JobRow>(
			"SELECT * FROM job WHERE id >= ? AND call_hash = ? AND created_at > ? ORDER BY id",
			firstJobId(since),
			callHash,
			since,
		)
		.toArray();
	const row = chooseRepeated(rows);
	return row && indexed(row);
}

/**
 * Which of the jobs of equal calls, oldest first, a repeat has: one that still runs, since nobody
 * may have read its answer yet; of several the one that the fewest repeats had, so that each of
 * several callers who hung up has another one. One that was canceled has no answer to repeat.
 */
export function chooseRepeated<
	J extends { status: JobIndexRow["status"]; repeats: number },
>(jobs: J[]): J | null {
	let best: J | null = null;
	for (const job of jobs) {
		if (job.status === "canceled") continue;
		const order =
			Number(best?.status === "accepted") - Number(job.status === "accepted") ||
			job.repeats - (best?.repeats ?? 0);
		if (!best || order < 0) best = job;
	}
	return best;
}

export function countRepeat(sql: SqlStorage, id: string): void {
	sql.exec("UPDATE job SET repeats = repeats + 1 WHERE id = ?", id);
}

/** As `findJob`, of jobs that the caller may see. */
export function findVisibleJob(
	sql: SqlStorage,
	onlyMadeBy: MadeBy,
	id: string,
): IndexedJob | null {
	const job = findJob(sql, id);
	return job && isVisible(onlyMadeBy, job.madeBy) ? job : null;
}

/**
 * A page of the index, newest first. The cursor is opaque and stays valid while jobs come and go.
 */
export function pageJobs(
	sql: SqlStorage,
	onlyMadeBy: MadeBy,
	cursor: string | null,
	limit: number,
): Result<{ jobs: JobIndexRow[]; nextCursor: string | null }> {
	const before = cursor === null ? Number.MAX_SAFE_INTEGER : positionOf(cursor);
	if (before === null)
		return failed({
			code: "invalid_request",
			field: "cursor",
			detail:
				"`cursor` is not one of ours. Send the last page's `next_cursor`, or leave it out.",
		});
	const rows = sql
		.exec<JobRow>(
			onlyMadeBy === null
				? "SELECT * FROM job WHERE seq < ? ORDER BY seq DESC LIMIT ?"
				: `SELECT * FROM job INDEXED BY job_of_key
					WHERE seq < ? AND made_by = ? ORDER BY seq DESC LIMIT ?`,
			before,
			...(onlyMadeBy === null ? [] : [onlyMadeBy]),
			limit + 1,
		)
		.toArray();
	const page = rows.slice(0, limit);
	const last = page.at(-1);
	return {
		ok: true,
		jobs: page.map((row) => indexRow(indexed(row))),
		nextCursor: rows.length > limit && last ? cursorOf(last.seq) : null,
	};
}

export const indexRow = (job: IndexedJob): JobIndexRow => ({
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
	gone: false,
	expiresIn: row.expires_in,
	webhook: row.webhook === null ? null : JSON.parse(row.webhook),
	madeBy: row.made_by,
	key: row.key,
	prices: row.prices === null ? null : JSON.parse(row.prices),
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
