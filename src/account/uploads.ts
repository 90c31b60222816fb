/**
 * The account's uploads and which job holds which: functions over its tables, run inside its transactions. Objects in
 * the bucket are never touched here. What became deletable goes into the due table, in the same transaction as the fact
 * that it follows from; the account's alarm deletes it.
 */

import type {
	InlineImage,
	MadeBy,
	NamedUpload,
	SentImage,
	StoredImage,
	UploadDraft,
	UploadPage,
	UploadView,
} from "../contract/account.ts";
import { failed, type Result } from "../errors.ts";
import { finalKey, stagingKey } from "../images/key.ts";
import { clearDue, setDue } from "./due.ts";
import type { HeldImage } from "./jobs.ts";
import { isOwn } from "./keys.ts";

/** How long a caller has to PUT and finalize. */
export const FINALIZE_WITHIN_MS = 60 * 60_000;
/** How long an upload is kept from its creation, and longer where a job holds it. */
export const UPLOAD_KEPT_MS = 30 * 24 * 60 * 60_000;
/** No request that might still write an object of a deleted upload takes longer. */
export const LATE_WRITE_MS = 5 * 60_000;

interface UploadRow extends Record<string, SqlStorageValue> {
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
	/** The key that made it, if that sees only its own. */
	made_by: string | null;
	/** It came with a job, and is in no list. */
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
	// A job that has not ended keeps its images from being deleted.
	sql.exec(`CREATE TABLE image_hold (
		job TEXT NOT NULL,
		upload TEXT NOT NULL,
		PRIMARY KEY (job, upload)
	) WITHOUT ROWID`);
	sql.exec("CREATE INDEX image_hold_upload ON image_hold (upload)");
	// The jobs that still have an image that came with a job: their own request's or an earlier one's.
	sql.exec(`CREATE TABLE image_use (
		upload TEXT NOT NULL,
		job TEXT NOT NULL,
		PRIMARY KEY (upload, job)
	) WITHOUT ROWID`);
}

/** A pending upload; unless it is finalized, or admitted with its job, in time, it is swept. */
export function createUpload(
	sql: SqlStorage,
	own: MadeBy,
	account: string,
	draft: UploadDraft,
	now: number,
): UploadView {
	const row = sql
		.exec<UploadRow>(
			"INSERT INTO upload (id, content_type, bytes, sha256, key, staged, created_at, made_by, inline) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING *",
			draft.id,
			draft.contentType,
			draft.bytes,
			draft.sha256,
			finalKey(account, draft.id),
			draft.way === "put" ? 1 : 0,
			now,
			own,
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
	own: MadeBy,
	id: string,
	stored: StoredImage,
	now: number,
): Result<{ upload: UploadView }> {
	const row = findLive(sql, own, id);
	if (!row) return failed({ code: "upload_not_found" });
	if (row.status === "ready") return { ok: true, upload: viewOf(row) };
	setDue(sql, `upload:${id}`, row.created_at + UPLOAD_KEPT_MS);
	if (row.staged) setDue(sql, `object:${stagingKey(row.key)}`, now);
	return { ok: true, upload: viewOf(makeReady(sql, id, stored)) };
}

/** Makes the images that came with a job usable, for as long as the job is kept. For the admission's transaction. */
export function finalizeInline(
	sql: SqlStorage,
	inline: readonly InlineImage[],
): void {
	for (const image of inline) {
		if (find(sql, image.id)?.status !== "pending") continue;
		makeReady(sql, image.id, image);
		clearDue(sql, `upload:${image.id}`);
	}
}

export function getUpload(
	sql: SqlStorage,
	own: MadeBy,
	id: string,
): Result<{ upload: UploadView }> {
	const row = findLive(sql, own, id);
	return row
		? { ok: true, upload: viewOf(row) }
		: failed({ code: "upload_not_found" });
}

/** Each id begins with `img_`. */
const BEYOND_ALL = "j";

/** A page of what was uploaded by itself, in the order of the ids, which begin with their time. */
export function pageUploads(
	sql: SqlStorage,
	own: MadeBy,
	{ after, limit, order }: UploadPage,
): { uploads: UploadView[]; more: boolean } {
	const [index, mine] =
		own === null ? ["upload_listed", ""] : ["upload_of_key", "AND made_by = ?"];
	const [beyond, direction] = order === "newest" ? ["<", "DESC"] : [">", "ASC"];
	const rows = sql
		.exec<UploadRow>(
			`SELECT * FROM upload INDEXED BY ${index}
				WHERE inline = 0 ${mine} AND status <> 'deleted' AND id ${beyond} ? ORDER BY id ${direction} LIMIT ?`,
			...(own === null ? [] : [own]),
			after ?? (order === "newest" ? BEYOND_ALL : ""),
			limit + 1,
		)
		.toArray();
	return {
		uploads: rows.slice(0, limit).map(viewOf),
		more: rows.length > limit,
	};
}

/** The named uploads, all of them ready for a job, as they were sent. */
export function sentUploads(
	sql: SqlStorage,
	own: MadeBy,
	uploads: readonly NamedUpload[],
): Result<{ images: SentImage[] }> {
	const found = usable(sql, own, uploads);
	if (!found.ok) return found;
	const images = found.rows.map(({ id, sha256 }) => ({
		upload: id,
		sha256,
		url: null,
	}));
	return { ok: true, images };
}

/** The owner sees it no more; its object goes now, or with the last job that holds it. */
export function deleteUpload(
	sql: SqlStorage,
	own: MadeBy,
	id: string,
	now: number,
): Result<{ id: string }> {
	const row = findLive(sql, own, id);
	if (!row) return failed({ code: "upload_not_found" });
	if (row.status === "pending") discardPending(sql, row, now);
	else if (isHeld(sql, id))
		sql.exec("UPDATE upload SET status = 'deleted' WHERE id = ?", id);
	else {
		sql.exec("DELETE FROM upload WHERE id = ?", id);
		setDue(sql, `object:${row.key}`, now);
	}
	// Once more, whatever took longer than anything may.
	if (row.staged) setDue(sql, `object:${stagingKey(row.key)}`, now);
	clearDue(sql, `upload:${id}`);
	return { ok: true, id };
}

/** Deletes what came with a job that was refused or known already. What was admitted stays. */
export function discardUploads(
	sql: SqlStorage,
	own: MadeBy,
	ids: readonly string[],
	now: number,
): void {
	for (const id of ids) {
		const row = findLive(sql, own, id);
		if (row?.status === "pending") discardPending(sql, row, now);
	}
}

/**
 * Keeps a job's images from being deleted until it ends, and those that belong to jobs until the last of those is gone;
 * and says where they are. For the admission's transaction.
 * @param before images of the job that it goes on from, all of them there
 */
export function holdImages(
	sql: SqlStorage,
	own: MadeBy,
	jobId: string,
	before: readonly HeldImage[],
	uploads: readonly NamedUpload[],
	inline: readonly InlineImage[],
): Result<{ images: HeldImage[] }> {
	const found = usable(sql, own, uploads);
	if (!found.ok) return found;
	const named = found.rows.map((row): HeldImage => {
		const came = inline.find(({ id }) => id === row.id);
		const sent = {
			sha256: row.sha256,
			url: came?.url ?? null,
			inline: came !== undefined,
		};
		return { ...imageOf(row), sent };
	});
	const images = [
		...before.map((image) => ({
			...image,
			sent: { ...image.sent, before: true as const },
		})),
		...named,
	];
	for (const { upload, sent } of images) {
		sql.exec(
			"INSERT OR IGNORE INTO image_hold (job, upload) VALUES (?, ?)",
			jobId,
			upload,
		);
		if (sent.inline)
			sql.exec(
				"INSERT OR IGNORE INTO image_use (upload, job) VALUES (?, ?)",
				upload,
				jobId,
			);
	}
	return { ok: true, images };
}

/** A job that has gone needs its image no more: one that belongs to jobs goes with the last of them. Repeatable. */
export function dropImage(
	sql: SqlStorage,
	jobId: string,
	upload: string,
	now: number,
): void {
	sql.exec("DELETE FROM image_use WHERE upload = ? AND job = ?", upload, jobId);
	if (!isUsed(sql, upload)) deleteUpload(sql, null, upload, now);
}

/** Whether an image can still be given to a job. */
export const isReady = (sql: SqlStorage, upload: string): boolean =>
	find(sql, upload)?.status === "ready";

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

/** The row goes first, its objects follow; once more later, because a call that writes the final one may be on its way. */
function discardPending(sql: SqlStorage, row: UploadRow, now: number): void {
	sql.exec("DELETE FROM upload WHERE id = ?", row.id);
	clearDue(sql, `upload:${row.id}`);
	setDue(sql, `object:${row.staged ? stagingKey(row.key) : row.key}`, now);
	setDue(sql, `late:${row.key}`, now + LATE_WRITE_MS);
}

const makeReady = (
	sql: SqlStorage,
	id: string,
	stored: StoredImage,
): UploadRow =>
	sql
		.exec<UploadRow>(
			"UPDATE upload SET status = 'ready', content_type = coalesce(?, content_type), stored_sha256 = ?, stored_bytes = ?, width = ?, height = ? WHERE id = ? RETURNING *",
			stored.contentType ?? null,
			stored.sha256,
			stored.bytes,
			stored.width,
			stored.height,
			id,
		)
		.one();

function usable(
	sql: SqlStorage,
	own: MadeBy,
	uploads: readonly NamedUpload[],
): Result<{ rows: UploadRow[] }> {
	const rows: UploadRow[] = [];
	for (const { upload, field } of uploads) {
		const row = find(sql, upload);
		if (!row || !isOwn(own, row.made_by))
			return failed({ code: "upload_not_found", field });
		if (row.status === "pending")
			return failed({ code: "upload_not_finalized", field });
		if (row.status === "deleted")
			return failed({ code: "image_in_use", field });
		rows.push(row);
	}
	return { ok: true, rows };
}

const find = (sql: SqlStorage, id: string): UploadRow | undefined =>
	sql.exec<UploadRow>("SELECT * FROM upload WHERE id = ?", id).toArray()[0];

function findLive(sql: SqlStorage, own: MadeBy, id: string): UploadRow | null {
	const row = find(sql, id);
	return row && row.status !== "deleted" && isOwn(own, row.made_by)
		? row
		: null;
}

/** Whether it belongs to a job. */
const isUsed = (sql: SqlStorage, upload: string): boolean =>
	sql.exec("SELECT 1 FROM image_use WHERE upload = ? LIMIT 1", upload).toArray()
		.length > 0;

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

function imageOf(row: UploadRow): Omit<HeldImage, "sent"> {
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
