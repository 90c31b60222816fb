/** A job in its account, from admission to erasure. Each function runs inside one transaction. */
import { createHash } from "node:crypto";
import type {
	Admission,
	JobImage,
	JobIndexRow,
	MadeBy,
	NamedUpload,
	Outcome,
	Preparation,
	Prepared,
	SentImage,
	Settlement,
} from "../contract/account.ts";
import { Rollback, unwrapOrRollBack } from "../durable/storage.ts";
import { type Failure, failed, type Result } from "../errors.ts";
import type { Prices } from "../pricing/prices.ts";
import {
	checkAdmission,
	checkHold,
	type Remaining,
	type Room,
} from "./admission.ts";
import { setDue } from "./due.ts";
import { appendJobEvent } from "./feed.ts";
import { findNamedJobId, saveIdempotencyKey } from "./idempotency.ts";
import {
	dropImage,
	finalizeInline,
	holdImages,
	isReady,
	releaseImages,
	sentUploads,
} from "./job-images.ts";
import {
	closeJob,
	countRepeat,
	findJob,
	findVisibleJob,
	type HeldImage,
	type IndexedJob,
	indexRow,
	insertJob,
	jobOfCall,
	markGone,
} from "./jobs.ts";
import { isVisible } from "./keys.ts";
import { decide } from "./ledger.ts";
import { balances, recordEntries } from "./ledger-rows.ts";
import { checkQuote, useQuote } from "./quotes.ts";
import { noteSpent } from "./spend-rows.ts";
import { keepUsage, usedOf } from "./usage-rows.ts";
import { useJobWebhook } from "./webhooks.ts";

/**
 * For how long a hold may stay unsettled, after admission or a running job's deadline, before the
 * account asks the Job.
 */
export const ORPHAN_AFTER_MS = 60_000;

/**
 * Answers what the Worker needs to know before it stores images or reads an earlier conversation:
 * whether the job's name is taken or its call was made before; if not, whether the account can pay
 * and has room. Writes nothing.
 */
export function prepare(
	sql: SqlStorage,
	onlyMadeBy: MadeBy,
	request: Preparation,
	room: Room,
	now: number,
): Result<Extract<Prepared, { ok: true }>> {
	if (request.hasWebhook && onlyMadeBy !== null) return WEBHOOK_REFUSED;
	const job =
		request.repeats === null
			? findNamed(sql, onlyMadeBy, request, now)
			: jobOfCall(sql, request.repeats, now);
	if (job && !isVisible(onlyMadeBy, job.madeBy))
		return failed({ code: "id_conflict" });
	if (job?.gone) return failed({ code: "job_gone" });
	if (job) {
		const sent = sentImages(job);
		const others = sentUploads(
			sql,
			onlyMadeBy,
			unknownTo(sent, request.uploads),
		);
		if (!others.ok) return others;
		return {
			ok: true,
			jobId: job.id,
			previousModel: null,
			images: [...sent, ...others.images],
		};
	}
	const before =
		request.previous && findPrevious(sql, onlyMadeBy, request.previous.job);
	if (before && !before.ok) return before;
	const found = sentUploads(sql, onlyMadeBy, request.uploads);
	if (!found.ok) return found;
	const previousModel = before?.job.model ?? null;
	const quote = checkQuote(sql, onlyMadeBy, request.quote, now);
	if (!quote.ok) return quote;
	const price =
		request.previous?.prices?.[previousModel ?? ""] ?? request.price;
	const hold: Result<object> = price
		? checkHold("", price, { balances: balances(sql), ...room }, now)
		: { ok: true };
	return hold.ok
		? { ok: true, jobId: null, previousModel, images: found.images }
		: failed(withoutBalance(hold.failure, onlyMadeBy));
}

/**
 * Admits a job: hold, index row, name, images, and when to ask after the job. A repeat changes
 * nothing.
 * @throws Rollback
 */
export function admit(
	sql: SqlStorage,
	onlyMadeBy: MadeBy,
	admission: Admission,
	room: Room,
	now: number,
): {
	result: "new" | "same";
	jobId: string;
	model: string;
	prices: Prices | null;
	maxPrice: number;
	images: HeldImage[];
	createdAt: number;
} {
	const { jobId, idempotencyKey, inline, previousJob, webhook } = admission;
	const { model, prices, maxPrice } = admission;
	if (webhook && onlyMadeBy !== null) unwrapOrRollBack(WEBHOOK_REFUSED);
	const remaining: Remaining = { balances: balances(sql), ...room };
	const job =
		findRepeated(sql, onlyMadeBy, admission, now) ??
		findNamed(sql, onlyMadeBy, admission, now);
	// A job of another key: the caller learns that the id is taken, and nothing more.
	if (job && !isVisible(onlyMadeBy, job.madeBy))
		throw new Rollback({ code: "id_conflict" });
	if (job?.gone) throw new Rollback({ code: "job_gone" });
	const bodyHash = unwrapOrRollBack(
		bodyHashOf(sql, onlyMadeBy, admission, job),
	).hash;
	const check = checkAdmission(job, { ...admission, bodyHash }, remaining, now);
	if (check.result === "refused")
		throw new Rollback(withoutBalance(check.failure, onlyMadeBy));
	if (check.result === "same") {
		const { id, model, prices, hold, images, createdAt } = check.job;
		if (admission.repeats !== null) countRepeat(sql, id);
		return {
			result: "same",
			jobId: id,
			model,
			prices,
			maxPrice: hold.amount,
			images,
			createdAt,
		};
	}
	unwrapOrRollBack(useQuote(sql, onlyMadeBy, admission.quote, jobId, now));
	finalizeInline(sql, inline);
	const before = previousJob
		? unwrapOrRollBack(findPrevious(sql, onlyMadeBy, previousJob)).job.images
		: [];
	const { images } = unwrapOrRollBack(
		holdImages(
			sql,
			onlyMadeBy,
			jobId,
			before,
			namedUploads(admission.images),
			inline,
		),
	);
	recordEntries(sql, check.entries, now);
	insertJob(sql, {
		id: jobId,
		bodyHash,
		model,
		images,
		prices,
		hold: maxPrice,
		createdAt: now,
		expiresIn: admission.expiresIn,
		dueAt: now + ORPHAN_AFTER_MS,
		webhook,
		callHash: admission.callHash,
		madeBy: onlyMadeBy,
		key: room.key,
		task: admission.task,
	});
	if (idempotencyKey !== null)
		saveIdempotencyKey(sql, onlyMadeBy, idempotencyKey, jobId, now);
	if (webhook) useJobWebhook(sql, webhook, now);
	appendJobEvent(sql, "job.created", requireJob(sql, jobId), now);
	const admitted = { jobId, model, prices, maxPrice, images, createdAt: now };
	return { result: "new", ...admitted };
}

/**
 * Settles a job: its one debit or release. Repeats get the same answer; null where no such job was
 * admitted.
 * @param neverStarted the Job's tombstone says that it never will: only the name and the ledger
 * rows are kept
 */
export function settle(
	sql: SqlStorage,
	outcome: Outcome,
	neverStarted: boolean,
	now: number,
): Settlement | null {
	const { jobId, status, price, parts } = outcome;
	const job = findJob(sql, jobId);
	if (!job) return null;
	const decision = decide(
		{
			balances: balances(sql),
			credits: new Map(),
			holds: new Map([[jobId, job.hold]]),
		},
		{ kind: "close", job: jobId, price },
		now,
	);
	if (!decision.ok || !decision.closing)
		throw new Error(`job ${jobId} holds nothing`);
	const { closing } = decision;
	if (!job.hold.closed) {
		recordEntries(sql, decision.entries, now);
		closeJob(sql, jobId, status, closing, usedOf(outcome), expiry(job, now));
		noteSpent(sql, job.key, price, now);
		for (const key of releaseImages(sql, job.images))
			setDue(sql, `object:${key}`, now);
		appendJobEvent(sql, `job.${status}`, requireJob(sql, jobId), now, parts);
		if (neverStarted) dropJob(sql, jobId, now);
	}
	return {
		price: closing.price,
		balance: closing.balance,
		settledAt: new Date(closing.at).toISOString(),
	};
}

/**
 * After the Job erased itself: images that no other job has are deleted, and the job's name stays.
 * Repeatable.
 */
export function recordErasure(
	sql: SqlStorage,
	jobId: string,
	now: number,
): void {
	const job = findJob(sql, jobId);
	if (job && !job.gone) appendJobEvent(sql, "job.deleted", job, now);
	dropJob(sql, jobId, now);
}

/** Deletes what an erased job leaves, without an event. */
function dropJob(sql: SqlStorage, jobId: string, now: number): void {
	for (const { upload, sent } of findJob(sql, jobId)?.images ?? [])
		if (sent.inline) dropImage(sql, jobId, upload, now);
	keepUsage(sql, jobId);
	markGone(sql, jobId);
}

/** Whether a job may be erased. A job that was erased may be. */
export function checkErasable(
	sql: SqlStorage,
	onlyMadeBy: MadeBy,
	jobId: string,
): Result<object> {
	const job = findVisibleJob(sql, onlyMadeBy, jobId);
	if (!job) return failed({ code: "job_not_found" });
	return job.hold.closed ? { ok: true } : failed({ code: "job_not_finished" });
}

/** @param endedAt milliseconds since the epoch */
export const expiry = (job: IndexedJob, endedAt: number): number =>
	endedAt + job.expiresIn * 1000;

/** The index row of a job that was not erased. */
export function lookup(
	sql: SqlStorage,
	onlyMadeBy: MadeBy,
	jobId: string,
): Result<{ job: JobIndexRow }> {
	const job = findVisibleJob(sql, onlyMadeBy, jobId);
	if (!job) return failed({ code: "job_not_found" });
	if (job.gone) return failed({ code: "job_gone" });
	return { ok: true, job: indexRow(job) };
}

/** @throws Error where there is none */
function requireJob(sql: SqlStorage, jobId: string): IndexedJob {
	const job = findJob(sql, jobId);
	if (job) return job;
	throw new Error(`job ${jobId} is not in the index`);
}

/** The job that a request names by idempotency key or by id. It may be another key's. */
function findNamed(
	sql: SqlStorage,
	onlyMadeBy: MadeBy,
	{ jobId, idempotencyKey }: Pick<Preparation, "jobId" | "idempotencyKey">,
	now: number,
): IndexedJob | null {
	const id =
		(idempotencyKey !== null &&
			findNamedJobId(sql, onlyMadeBy, idempotencyKey, now)) ||
		jobId;
	return id === null ? null : findJob(sql, id);
}

/**
 * The job of the call that is repeated. It is chosen again at admission, because another repeat may
 * have got the job meanwhile.
 */
function findRepeated(
	sql: SqlStorage,
	onlyMadeBy: MadeBy,
	admission: Admission,
	now: number,
): IndexedJob | null {
	const { repeats } = admission;
	const job = repeats === null ? null : jobOfCall(sql, repeats, now);
	if (!job) return null;
	const body = bodyHashOf(sql, onlyMadeBy, admission, job);
	return body.ok && body.hash === job.bodyHash ? job : null;
}

/**
 * SHA-256 over what the caller sent: the request without its images, and the SHA-256 of each image
 * as it was sent. The same photo is thus the same request, by whatever way it came.
 * @param job the job that has this name already: its uploads may be deleted by now
 */
function bodyHashOf(
	sql: SqlStorage,
	onlyMadeBy: MadeBy,
	{ requestHash, images }: Admission,
	job: IndexedJob | null,
): Result<{ hash: string }> {
	const sent = job ? sentImages(job) : [];
	const uploads = images.flatMap(({ upload, sha256, field }) =>
		upload !== null && sha256 === null ? [{ upload, field }] : [],
	);
	const others = sentUploads(sql, onlyMadeBy, unknownTo(sent, uploads));
	if (!others.ok) return others;
	const byUpload = new Map(
		[...sent, ...others.images].map(({ upload, sha256 }) => [upload, sha256]),
	);
	const hash = createHash("sha256").update(requestHash);
	for (const { upload, sha256 } of images)
		hash.update(`\n${sha256 ?? byUpload.get(upload ?? "")}`);
	return { ok: true, hash: hash.digest("hex") };
}

/** The uploads that are not among these images. */
const unknownTo = (
	images: readonly SentImage[],
	uploads: readonly NamedUpload[],
): NamedUpload[] =>
	uploads.filter(
		({ upload }) => !images.some((image) => image.upload === upload),
	);

const namedUploads = (images: readonly JobImage[]): NamedUpload[] =>
	images.flatMap(({ upload, field }) =>
		upload === null ? [] : [{ upload, field }],
	);

/** A job that another one may continue, with all its images. */
function findPrevious(
	sql: SqlStorage,
	onlyMadeBy: MadeBy,
	id: string,
): Result<{ job: IndexedJob }> {
	const field = "previous_job";
	const job = findVisibleJob(sql, onlyMadeBy, id);
	if (!job) return failed({ code: "job_not_found", field });
	if (job.gone) return failed({ code: "job_gone", field });
	switch (job.status) {
		case "accepted":
			return failed({ code: "previous_job_unfinished", field });
		case "failed":
		case "expired":
			return failed({ code: "previous_job_failed", field });
	}
	return job.images.every(({ upload }) => isReady(sql, upload))
		? { ok: true, job }
		: failed({ code: "image_gone", field });
}

/** With a webhook, a key that is public would have the account sign messages to any address. */
const WEBHOOK_REFUSED = failed({ code: "bound_key", field: "webhook" });

/**
 * A refusal as a caller may read it: only those who see all of the account learn how much money
 * there is.
 */
function withoutBalance(failure: Failure, onlyMadeBy: MadeBy): Failure {
	if (onlyMadeBy === null) return failure;
	if (failure.code === "insufficient_credit") {
		const { available: _, missing: __, ...rest } = failure;
		return rest;
	}
	if (failure.code === "spend_limit_reached") {
		const { limit: _, spent: __, held: ___, left: ____, ...rest } = failure;
		return rest;
	}
	return failure.code === "payment_owed" ? { code: "payment_owed" } : failure;
}

/** The images that the job's own request named or brought. */
const sentImages = ({ images }: IndexedJob): SentImage[] =>
	images
		.filter(({ sent }) => !sent.before)
		.map(({ upload, sent: { sha256, url } }) => ({ upload, sha256, url }));
