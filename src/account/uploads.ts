/**
 * The account's uploads and which job holds which: functions over its tables, run inside its transactions. Objects in
 * the bucket are never touched here. What became deletable goes into the due table, in the same transaction as the fact
 * that it follows from; the account's alarm deletes it.
 */
import type { Result } from "../errors.ts";
import { finalKey, stagingKey } from "../images/key.ts";
import type { ImageType } from "../schema/image.ts";
import type { ImageRef } from "./contract.ts";
import { clearDue, setDue } from "./due.ts";

/** How long an upload may stay unfinalized. */
export const FINALIZE_WITHIN_MS = 60 * 60_000;
/** No request that might still write an object of a deleted upload takes longer. */
const LATE_WRITE_MS = 5 * 60_000;

/** What a caller declares before the bytes are known. */
export interface UploadDraft {
	id: string;
	contentType: ImageType;
	bytes: number;
	/** Over the bytes as sent, hex. */
	sha256: string;
	/** The caller PUTs the bytes by a presigned URL; else they come through the Worker. */
	staged: boolean;
}

/** What was stored for an upload, once its bytes were inspected. */
export interface StoredImage {
	/** Over the bytes as stored, hex. */
	sha256: string;
	bytes: number;
	width: number;
	height: number;
}

export interface UploadView extends Omit<UploadDraft, "staged"> {
	status: "pending" | "ready";
	width: number | null;
	height: number | null;
	/** Milliseconds since the epoch. */
	createdAt: number;
}

interface UploadRow extends Record<string, SqlStorageValue> {
	id: string;
	status: "pending" | "ready" | "deleted";
	content_type: ImageType;
	bytes: number;
	sha256: string;
	key: string;
	staged: number;
	created_at: number;
	stored_sha256: string | null;
	stored_bytes: number | null;
	width: number | null;
	height: number | null;
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
		height INTEGER
	) WITHOUT ROWID`);
	sql.exec(`CREATE TABLE image_hold (
		job TEXT NOT NULL,
		upload TEXT NOT NULL,
		PRIMARY KEY (job, upload)
	) WITHOUT ROWID`);
	sql.exec("CREATE INDEX image_hold_upload ON image_hold (upload)");
}

/** A pending upload; unless it is finalized in time, it is swept. */
export function createUpload(
	sql: SqlStorage,
	account: string,
	draft: UploadDraft,
	now: number,
): UploadView {
	const row = sql
		.exec<UploadRow>(
			"INSERT INTO upload (id, content_type, bytes, sha256, key, staged, created_at) VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING *",
			draft.id,
			draft.contentType,
			draft.bytes,
			draft.sha256,
			finalKey(account, draft.id),
			draft.staged ? 1 : 0,
			now,
		)
		.one();
	setDue(sql, `upload:${draft.id}`, now + FINALIZE_WITHIN_MS);
	return viewOf(row);
}

/** Makes a pending upload usable. Repeating it changes nothing: the first finalization stands. */
export function finalizeUpload(
	sql: SqlStorage,
	id: string,
	stored: StoredImage,
	now: number,
): Result<{ upload: UploadView }> {
	const row = findLive(sql, id);
	if (!row) return { ok: false, failure: { code: "upload_not_found" } };
	if (row.status === "ready") return { ok: true, upload: viewOf(row) };
	const ready = sql
		.exec<UploadRow>(
			"UPDATE upload SET status = 'ready', stored_sha256 = ?, stored_bytes = ?, width = ?, height = ? WHERE id = ? RETURNING *",
			stored.sha256,
			stored.bytes,
			stored.width,
			stored.height,
			id,
		)
		.one();
	clearDue(sql, `upload:${id}`);
	if (row.staged) setDue(sql, `object:${stagingKey(row.key)}`, now);
	return { ok: true, upload: viewOf(ready) };
}

export function getUpload(
	sql: SqlStorage,
	id: string,
): Result<{ upload: UploadView }> {
	const row = findLive(sql, id);
	return row
		? { ok: true, upload: viewOf(row) }
		: { ok: false, failure: { code: "upload_not_found" } };
}

/**
 * The named uploads, all of them ready for a job.
 * @param fields the request's field of each, for errors
 */
export function readyUploads(
	sql: SqlStorage,
	ids: readonly string[],
	fields: readonly string[],
): Result<{ uploads: UploadView[] }> {
	const rows = usable(sql, ids, fields);
	return rows.ok ? { ok: true, uploads: rows.rows.map(viewOf) } : rows;
}

/** The owner sees it no more; its object goes now, or with the last job that holds it. */
export function deleteUpload(
	sql: SqlStorage,
	id: string,
	now: number,
): Result<{ id: string }> {
	const row = findLive(sql, id);
	if (!row) return { ok: false, failure: { code: "upload_not_found" } };
	if (row.status === "pending") discardPending(sql, row, now);
	else if (isHeld(sql, id))
		sql.exec("UPDATE upload SET status = 'deleted' WHERE id = ?", id);
	else {
		sql.exec("DELETE FROM upload WHERE id = ?", id);
		setDue(sql, `object:${row.key}`, now);
	}
	return { ok: true, id };
}

/** What is due at `upload:<id>`: an upload that was never finalized goes. */
export function sweepUpload(sql: SqlStorage, id: string, now: number): void {
	const row = findLive(sql, id);
	if (row?.status === "pending") discardPending(sql, row, now);
}

/** Keeps a job's images from being deleted until it ends, and says where they are. For the admission's transaction. */
export function holdImages(
	sql: SqlStorage,
	jobId: string,
	uploadIds: readonly string[],
	fields: readonly string[],
): Result<{ images: Omit<ImageRef, "cacheId">[] }> {
	const rows = usable(sql, uploadIds, fields);
	if (!rows.ok) return rows;
	for (const id of new Set(uploadIds))
		sql.exec("INSERT INTO image_hold (job, upload) VALUES (?, ?)", jobId, id);
	return { ok: true, images: rows.rows.map(imageOf) };
}

/** Ends a job's holds. @returns keys of objects whose upload was deleted and that no job holds any more */
export function releaseImages(sql: SqlStorage, jobId: string): string[] {
	const held = sql
		.exec<{ upload: string }>(
			"DELETE FROM image_hold WHERE job = ? RETURNING upload",
			jobId,
		)
		.toArray();
	const keys: string[] = [];
	for (const { upload } of held) {
		const row = find(sql, upload);
		if (row?.status !== "deleted" || isHeld(sql, upload)) continue;
		sql.exec("DELETE FROM upload WHERE id = ?", upload);
		keys.push(row.key);
	}
	return keys;
}

/** The row goes first. Both objects follow; the final one late, because a finalization may be on its way. */
function discardPending(sql: SqlStorage, row: UploadRow, now: number): void {
	sql.exec("DELETE FROM upload WHERE id = ?", row.id);
	clearDue(sql, `upload:${row.id}`);
	if (row.staged) setDue(sql, `object:${stagingKey(row.key)}`, now);
	setDue(sql, `object:${row.key}`, now + LATE_WRITE_MS);
}

function usable(
	sql: SqlStorage,
	ids: readonly string[],
	fields: readonly string[],
): Result<{ rows: UploadRow[] }> {
	const rows: UploadRow[] = [];
	for (const [n, id] of ids.entries()) {
		const field = fields[n] ?? `images[${n}].upload`;
		const row = find(sql, id);
		if (!row)
			return { ok: false, failure: { code: "upload_not_found", field } };
		if (row.status === "pending")
			return { ok: false, failure: { code: "upload_not_finalized", field } };
		if (row.status === "deleted")
			return { ok: false, failure: { code: "image_in_use", field } };
		rows.push(row);
	}
	return { ok: true, rows };
}

const find = (sql: SqlStorage, id: string): UploadRow | undefined =>
	sql.exec<UploadRow>("SELECT * FROM upload WHERE id = ?", id).toArray()[0];

function findLive(sql: SqlStorage, id: string): UploadRow | null {
	const row = find(sql, id);
	return row && row.status !== "deleted" ? row : null;
}

const isHeld = (sql: SqlStorage, id: string): boolean =>
	sql.exec("SELECT 1 FROM image_hold WHERE upload = ? LIMIT 1", id).toArray()
		.length > 0;

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

function imageOf(row: UploadRow): Omit<ImageRef, "cacheId"> {
	const { stored_sha256, stored_bytes, width, height } = row;
	if (!stored_sha256 || !stored_bytes || !width || !height)
		throw new Error(`upload ${row.id} is ready and lacks its image`);
	return {
		upload: row.id,
		key: row.key,
		sha256: stored_sha256,
		contentType: row.content_type,
		bytes: stored_bytes,
		width,
		height,
	};
}
