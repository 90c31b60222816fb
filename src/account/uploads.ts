/**
 * The account's uploads: functions over its tables, run inside its transactions. They do not touch
 * the bucket. An object that nothing needs any more becomes due for deletion in the same
 * transaction; the account's alarm deletes it.
 */

import type {
	MadeBy,
	StoredImage,
	UploadDraft,
	UploadPage,
	UploadView,
} from "../contract/account.ts";
import { unwrapOrRollBack } from "../durable/storage.ts";
import { failed, type Result } from "../errors.ts";
import { finalKey, stagingKey } from "../images/key.ts";
import { clearDue, setDue } from "./due.ts";
import { isHeldByJob } from "./jobs.ts";
import { isVisible } from "./keys.ts";

/** For how long a caller may PUT and finalize. */
const FINALIZE_WITHIN_MS = 60 * 60_000;
/** For how long an upload is kept from its creation; longer where a job holds it. */
export const UPLOAD_KEPT_MS = 30 * 24 * 60 * 60_000;
/** The longest that a request takes which may still write an object of a deleted upload. */
export const LATE_WRITE_MS = 5 * 60_000;

export interface UploadRow extends Record<string, SqlStorageValue> {
	id: string;
	status: "pending" | "ready" | "deleted";
	content_type: string;
	bytes: number;
	sha256: string;
	key: string;
	staged: number;
	created_at: number;
	stored_sha256: string | null;
	stored_bytes: number | null;
	width: number | null;
	height: number | null;
	/** See `MadeBy`. */
	made_by: string | null;
	/** 1 where it came with a job: then it is in no list. */
	inline: number;
}

export function createUploadTables(sql: SqlStorage): void {
	sql.exec(`CREATE TABLE upload (
		id TEXT PRIMARY KEY,
		status TEXT NOT NULL DEFAULT 'pending',
		content_type TEXT NOT NULL,
		bytes INTEGER NOT NULL,
		sha256 TEXT NOT NULL,
		key TEXT NOT NULL,
		staged INTEGER NOT NULL,
		created_at INTEGER NOT NULL,
		stored_sha256 TEXT,
		stored_bytes INTEGER,
		width INTEGER,
		height INTEGER,
		made_by TEXT,
		inline INTEGER NOT NULL
	) WITHOUT ROWID`);
	// A list reads what was uploaded by itself and nothing else: an image that came with a job is in
	// neither index, an upload is in the first, and in the second where its key sees only its own.
	sql.exec("CREATE INDEX upload_listed ON upload (id) WHERE inline = 0");
	sql.exec(
		`CREATE INDEX upload_of_key ON upload (made_by, id)
			WHERE made_by IS NOT NULL AND inline = 0`,
	);
	// The jobs that still have an image that came with a job: their own request's or an earlier
	// one's.
	sql.exec(`CREATE TABLE image_use (
		upload TEXT NOT NULL,
		job TEXT NOT NULL,
		PRIMARY KEY (upload, job)
	) WITHOUT ROWID`);
}

export const createUploads = (
	sql: SqlStorage,
	madeBy: MadeBy,
	account: string,
	drafts: readonly UploadDraft[],
	now: number,
): UploadView[] =>
	drafts.map((draft) => createUpload(sql, madeBy, account, draft, now));

/**
 * Makes a pending upload. It is deleted unless it is finalized, or admitted with its job, in time.
 */
export function createUpload(
	sql: SqlStorage,
	onlyMadeBy: MadeBy,
	account: string,
	draft: UploadDraft,
	now: number,
): UploadView {
	const row = sql
		.exec<UploadRow>(
			`INSERT INTO upload
				(id, content_type, bytes, sha256, key, staged, created_at, made_by, inline)
				VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING *`,
			draft.id,
			draft.contentType,
			draft.bytes,
			draft.sha256,
			finalKey(account, draft.id),
			draft.way === "put" ? 1 : 0,
			now,
			onlyMadeBy,
			draft.way === "inline" ? 1 : 0,
		)
		.one();
	const within = draft.way === "put" ? FINALIZE_WITHIN_MS : LATE_WRITE_MS;
	setDue(sql, `upload:${draft.id}`, now + within);
	return viewOf(row);
}

/** Makes a pending upload usable. Repeating it changes nothing: the first finalization stands. */
export function finalizeUpload(
	sql: SqlStorage,
	onlyMadeBy: MadeBy,
	id: string,
	stored: StoredImage,
	now: number,
): Result<{ upload: UploadView }> {
	const row = findLive(sql, onlyMadeBy, id);
	if (!row) return failed({ code: "upload_not_found" });
	if (row.status === "ready") return { ok: true, upload: viewOf(row) };
	setDue(sql, `upload:${id}`, row.created_at + UPLOAD_KEPT_MS);
	if (row.staged) setDue(sql, `object:${stagingKey(row.key)}`, now);
	return { ok: true, upload: viewOf(makeReady(sql, id, stored)) };
}

/** Makes all of these uploads usable, or none. @throws Rollback */
export const finalizeUploads = (
	sql: SqlStorage,
	onlyMadeBy: MadeBy,
	stored: readonly ({ id: string } & StoredImage)[],
	now: number,
): UploadView[] =>
	stored.map(({ id, ...image }) => {
		const finalized = finalizeUpload(sql, onlyMadeBy, id, image, now);
		return unwrapOrRollBack(finalized).upload;
	});

export function getUpload(
	sql: SqlStorage,
	onlyMadeBy: MadeBy,
	id: string,
): Result<{ upload: UploadView }> {
	const row = findLive(sql, onlyMadeBy, id);
	return row
		? { ok: true, upload: viewOf(row) }
		: failed({ code: "upload_not_found" });
}

/** Greater than any id: they begin with `img_`. */
const BEYOND_ALL = "j";

/**
 * A page of the images that were uploaded by themselves, in the order of their ids, which begin
 * with the time.
 */
export function pageUploads(
	sql: SqlStorage,
	onlyMadeBy: MadeBy,
	{ after, limit, order }: UploadPage,
): { uploads: UploadView[]; more: boolean } {
	const [index, filter] =
		onlyMadeBy === null
			? ["upload_listed", ""]
			: ["upload_of_key", "AND made_by = ?"];
	const [beyond, direction] = order === "newest" ? ["<", "DESC"] : [">", "ASC"];
	const rows = sql
		.exec<UploadRow>(
			`SELECT * FROM upload INDEXED BY ${index}
				WHERE inline = 0 ${filter} AND status <> 'deleted' AND id ${beyond} ?
				ORDER BY id ${direction} LIMIT ?`,
			...(onlyMadeBy === null ? [] : [onlyMadeBy]),
			after ?? (order === "newest" ? BEYOND_ALL : ""),
			limit + 1,
		)
		.toArray();
	return {
		uploads: rows.slice(0, limit).map(viewOf),
		more: rows.length > limit,
	};
}

/**
 * Deletes an upload: nobody sees it any more. Its object goes now, or with the last job that holds
 * it.
 */
export function deleteUpload(
	sql: SqlStorage,
	onlyMadeBy: MadeBy,
	id: string,
	now: number,
): Result<{ id: string }> {
	const row = findLive(sql, onlyMadeBy, id);
	if (!row) return failed({ code: "upload_not_found" });
	if (row.status === "pending") discardPending(sql, row, now);
	else if (isHeldByJob(sql, id))
		sql.exec("UPDATE upload SET status = 'deleted' WHERE id = ?", id);
	else {
		sql.exec("DELETE FROM upload WHERE id = ?", id);
		setDue(sql, `object:${row.key}`, now);
	}
	// Once more, in case a PUT took longer than it may.
	if (row.staged) setDue(sql, `object:${stagingKey(row.key)}`, now);
	clearDue(sql, `upload:${id}`);
	return { ok: true, id };
}

/**
 * Deletes the pending ones of these uploads: their job was refused, or is a repeat. Admitted ones
 * stay.
 */
export function discardUploads(
	sql: SqlStorage,
	onlyMadeBy: MadeBy,
	ids: readonly string[],
	now: number,
): Result<object> {
	for (const id of ids) {
		const row = findLive(sql, onlyMadeBy, id);
		if (row?.status === "pending") discardPending(sql, row, now);
	}
	return { ok: true };
}

/**
 * Deletes the row; its objects follow, and once more later, because a call may still write the
 * final one.
 */
function discardPending(sql: SqlStorage, row: UploadRow, now: number): void {
	sql.exec("DELETE FROM upload WHERE id = ?", row.id);
	clearDue(sql, `upload:${row.id}`);
	setDue(sql, `object:${row.staged ? stagingKey(row.key) : row.key}`, now);
	setDue(sql, `late:${row.key}`, now + LATE_WRITE_MS);
}

export const makeReady = (
	sql: SqlStorage,
	id: string,
	stored: StoredImage,
): UploadRow =>
	sql
		.exec<UploadRow>(
			`UPDATE upload SET status = 'ready', content_type = coalesce(?, content_type),
				stored_sha256 = ?, stored_bytes = ?, width = ?, height = ? WHERE id = ? RETURNING *`,
			stored.contentType ?? null,
			stored.sha256,
			stored.bytes,
			stored.width,
			stored.height,
			id,
		)
		.one();

export const findUploadRow = (
	sql: SqlStorage,
	id: string,
): UploadRow | undefined =>
	sql.exec<UploadRow>("SELECT * FROM upload WHERE id = ?", id).toArray()[0];

function findLive(
	sql: SqlStorage,
	onlyMadeBy: MadeBy,
	id: string,
): UploadRow | null {
	const row = findUploadRow(sql, id);
	return row && row.status !== "deleted" && isVisible(onlyMadeBy, row.made_by)
		? row
		: null;
}

const viewOf = (row: UploadRow): UploadView => ({
	id: row.id,
	status: row.status === "pending" ? "pending" : "ready",
	contentType: row.content_type,
	bytes: row.bytes,
	sha256: row.sha256,
	width: row.width,
	height: row.height,
	createdAt: row.created_at,
});
