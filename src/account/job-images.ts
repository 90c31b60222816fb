/**
 * Which images a job has, and what keeps them: functions that run inside the account's
 * transactions.
 */
import type {
	InlineImage,
	MadeBy,
	NamedUpload,
	SentImage,
} from "../contract/account.ts";
import { failed, type Result } from "../errors.ts";
import { clearDue } from "./due.ts";
import { type HeldImage, isHeldByJob } from "./jobs.ts";
import { isVisible } from "./keys.ts";
import {
	deleteUpload,
	findUploadRow,
	makeReady,
	type UploadRow,
} from "./uploads.ts";

/**
 * Makes the images that came with a job usable, for as long as the job is kept. Runs in the
 * admission's transaction.
 */
export function finalizeInline(
	sql: SqlStorage,
	inline: readonly InlineImage[],
): void {
	for (const image of inline) {
		if (findUploadRow(sql, image.id)?.status !== "pending") continue;
		makeReady(sql, image.id, image);
		clearDue(sql, `upload:${image.id}`);
	}
}

/** The named uploads as they were sent. All of them must be ready for a job. */
export function sentUploads(
	sql: SqlStorage,
	onlyMadeBy: MadeBy,
	uploads: readonly NamedUpload[],
): Result<{ images: SentImage[] }> {
	const found = readyUploads(sql, onlyMadeBy, uploads);
	if (!found.ok) return found;
	const images = found.rows.map(({ id, sha256 }) => ({
		upload: id,
		sha256,
		url: null,
	}));
	return { ok: true, images };
}

/**
 * A job's images, from when on its row holds them: none is deleted before the job settles, and one
 * that came with a job not before the last job that has it is erased. Runs in the admission's
 * transaction.
 * @param before images of the job that this one continues, all of them ready
 * @returns where the images are
 */
export function holdImages(
	sql: SqlStorage,
	onlyMadeBy: MadeBy,
	jobId: string,
	before: readonly HeldImage[],
	uploads: readonly NamedUpload[],
	inline: readonly InlineImage[],
): Result<{ images: HeldImage[] }> {
	const found = readyUploads(sql, onlyMadeBy, uploads);
	if (!found.ok) return found;
	const named = found.rows.map((row): HeldImage => {
		const inlineImage = inline.find(({ id }) => id === row.id);
		const sent = {
			sha256: row.sha256,
			url: inlineImage?.url ?? null,
			inline: inlineImage !== undefined,
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
	for (const { upload, sent } of images)
		if (sent.inline)
			sql.exec(
				"INSERT OR IGNORE INTO image_use (upload, job) VALUES (?, ?)",
				upload,
				jobId,
			);
	return { ok: true, images };
}

/**
 * Takes an image that came with a job from an erased job; the last job's takes the image with it.
 * Repeatable.
 */
export function dropImage(
	sql: SqlStorage,
	jobId: string,
	upload: string,
	now: number,
): void {
	sql.exec("DELETE FROM image_use WHERE upload = ? AND job = ?", upload, jobId);
	if (!isUsed(sql, upload)) deleteUpload(sql, null, upload, now);
}

/** Whether a job may still use an image. */
export const isReady = (sql: SqlStorage, upload: string): boolean =>
	findUploadRow(sql, upload)?.status === "ready";

/**
 * Forgets the images of a job that has just settled, where they were deleted meanwhile and no other
 * open job has them.
 * @returns keys of their objects
 */
export function releaseImages(
	sql: SqlStorage,
	images: readonly HeldImage[],
): string[] {
	const keys: string[] = [];
	for (const { upload } of images) {
		const row = findUploadRow(sql, upload);
		if (row?.status !== "deleted" || isHeldByJob(sql, upload)) continue;
		sql.exec("DELETE FROM upload WHERE id = ?", upload);
		keys.push(row.key);
	}
	return keys;
}

function readyUploads(
	sql: SqlStorage,
	onlyMadeBy: MadeBy,
	uploads: readonly NamedUpload[],
): Result<{ rows: UploadRow[] }> {
	const rows: UploadRow[] = [];
	for (const { upload, field } of uploads) {
		const row = findUploadRow(sql, upload);
		if (!row || !isVisible(onlyMadeBy, row.made_by))
			return failed({ code: "upload_not_found", field });
		if (row.status === "pending")
			return failed({ code: "upload_not_finalized", field });
		if (row.status === "deleted")
			return failed({ code: "image_in_use", field });
		rows.push(row);
	}
	return { ok: true, rows };
}

/** Whether a job still has it. */
const isUsed = (sql: SqlStorage, upload: string): boolean =>
	sql.exec("SELECT 1 FROM image_use WHERE upload = ? LIMIT 1", upload).toArray()
		.length > 0;

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
