/** A job in its account, from the question whether it may run to the end of its time: each function is one transaction's inside. */
import { createHash } from "node:crypto";
import type {
	Admission,
	JobImage,
	JobIndexRow,
	Limits,
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
import { checkAdmission, checkHold, type Remaining } from "./admission.ts";
import { balances, record } from "./books.ts";
import { clearDue, setDue } from "./due.ts";
import { tellOfJob } from "./feed.ts";
import { jobOfKey, nameByKey } from "./idempotency.ts";
import {
	closeJob,
	countRepeat,
	findJob,
	findOwnJob,
	type HeldImage,
	type IndexedJob,
	insertJob,
	jobOfCall,
	markGone,
	rowOf,
} from "./jobs.ts";
import { isOwn } from "./keys.ts";
import { decide, priceOf } from "./ledger.ts";
import {
	dropImage,
	finalizeInline,
	holdImages,
	isReady,
	releaseImages,
	sentUploads,
} from "./uploads.ts";
import { useJobHook } from "./webhooks.ts";

/** How long after admission, or after a running job's deadline, a hold may stay unsettled before the Job is asked. */
export const ORPHAN_AFTER_MS = 60_000;

/**
 * Answers what the Worker needs to know before it stores images or reads an earlier conversation:
 * whether the job's name is taken or its call was made before; if not, whether the account can pay
 * and has room. Writes nothing.
 */
export function prepare(
	sql: SqlStorage,
	own: MadeBy,
	request: Preparation,
	jobs: Limits["jobs"],
	now: number,
): Result<Extract<Prepared, { ok: true }>> {
	if (request.hasWebhook && own !== null) return WEBHOOK_REFUSED;
	const job =
		request.repeats === null
			? named(sql, own, request, now)
			: jobOfCall(sql, request.repeats, now);
	if (job && !isOwn(own, job.madeBy)) return failed({ code: "id_conflict" });
	if (job?.gone) return failed({ code: "job_gone" });
	if (job) {
		const sent = sentImages(job);
		const others = sentUploads(sql, own, unknownTo(sent, request.uploads));
		if (!others.ok) return others;
		return {
			ok: true,
			jobId: job.id,
			previousModel: null,
			images: [...sent, ...others.images],
		};
	}
	const before = request.previous && previousOf(sql, own, request.previous.job);
	if (before && !before.ok) return before;
	const found = sentUploads(sql, own, request.uploads);
	if (!found.ok) return found;
	const previousModel = before?.job.model ?? null;
	const price =
		request.previous?.prices?.[previousModel ?? ""] ?? request.maxPrice;
	const hold = checkHold("", price, { balances: balances(sql), jobs }, now);
	return hold.ok
		? { ok: true, jobId: null, previousModel, images: found.images }
		: failed(told(hold.failure, own));
}

/**
 * Admits a job: hold, index row, name, images, and when to ask after the job. A repeat changes
 * nothing.
 * @throws Rollback
 */
export function admit(
	sql: SqlStorage,
	own: MadeBy,
	admission: Admission,
	jobs: Limits["jobs"],
	now: number,
): {
	answer: "new" | "same";
	jobId: string;
	model: string;
	maxPrice: number;
	images: HeldImage[];
	createdAt: number;
} {
	const { jobId, idempotencyKey, inline, model, maxPrice, previousJob } =
		admission;
	const { webhook } = admission;
	if (webhook && own !== null) unwrapOrRollBack(WEBHOOK_REFUSED);
	const remaining: Remaining = { balances: balances(sql), jobs };
	const job =
		ofRepeat(sql, own, admission, now) ?? named(sql, own, admission, now);
	// Not even a repeat, or that it is gone: the id is taken, and that is all there is to know of it.
	if (job && !isOwn(own, job.madeBy))
		throw new Rollback({ code: "id_conflict" });
	if (job?.gone) throw new Rollback({ code: "job_gone" });
	const bodyHash = unwrapOrRollBack(bodyHashOf(sql, own, admission, job)).hash;
	const check = checkAdmission(job, { ...admission, bodyHash }, remaining, now);
	if (check.answer === "refused") throw new Rollback(told(check.failure, own));
	if (check.answer === "same") {
		const { id, model, hold, images, createdAt } = check.job;
		if (admission.repeats !== null) countRepeat(sql, id);
		return {
			answer: "same",
			jobId: id,
			model,
			maxPrice: hold.amount,
			images,
			createdAt,
		};
	}
	finalizeInline(sql, inline);
	const before = previousJob
		? unwrapOrRollBack(previousOf(sql, own, previousJob)).job.images
		: [];
	const { images } = unwrapOrRollBack(
		holdImages(sql, own, jobId, before, namedUploads(admission.images), inline),
	);
	record(sql, check.entries, now);
	insertJob(sql, {
		id: jobId,
		bodyHash,
		model,
		images,
		hold: maxPrice,
		createdAt: now,
		expiresIn: admission.expiresIn,
		webhook,
		call: admission.call,
		madeBy: own,
	});
	if (idempotencyKey !== null) nameByKey(sql, own, idempotencyKey, jobId, now);
	setDue(sql, `orphan:${jobId}`, now + ORPHAN_AFTER_MS);
	if (webhook) useJobHook(sql, webhook, now);
	tellOfJob(sql, "job.created", indexedJob(sql, jobId), now);
	return { answer: "new", jobId, model, maxPrice, images, createdAt: now };
}

/**
 * The job's one debit or release, the same answer on every repeat; null where no such job was admitted.
 * @param neverStarted by its tombstone it never will: nothing of it is kept but its name and its ledger rows
 */
export function settle(
	sql: SqlStorage,
	outcome: Outcome,
	neverStarted: boolean,
	now: number,
): Settlement | null {
	const { jobId, status } = outcome;
	const job = findJob(sql, jobId);
	if (!job) return null;
	const decision = decide(
		{
			balances: balances(sql),
			credits: new Map(),
			holds: new Map([[jobId, job.hold]]),
		},
		{ kind: "close", job: jobId, price: priceOf(outcome, job.hold.amount) },
		now,
	);
	if (!decision.ok || !decision.closing)
		throw new Error(`job ${jobId} holds nothing`);
	const { closing } = decision;
	if (!job.hold.closed) {
		record(sql, decision.entries, now);
		closeJob(sql, jobId, status, closing);
		clearDue(sql, `orphan:${jobId}`);
		for (const key of releaseImages(sql, jobId))
			setDue(sql, `object:${key}`, now);
		tellOfJob(sql, `job.${status}`, indexedJob(sql, jobId), now);
		if (neverStarted) bury(sql, jobId, now);
		else setDue(sql, `expire:${jobId}`, expiry(job, now));
	}
	return {
		price: closing.price,
		balance: closing.balance,
		settledAt: new Date(closing.at).toISOString(),
	};
}

/** After the Job erased itself: images that are no other job's go, and its name stays. Repeatable. */
export function forget(sql: SqlStorage, jobId: string, now: number): void {
	const job = findJob(sql, jobId);
	if (job && !job.gone) tellOfJob(sql, "job.deleted", job, now);
	bury(sql, jobId, now);
}

/** What of a job goes with it, where nobody needs to be told. */
function bury(sql: SqlStorage, jobId: string, now: number): void {
	for (const { upload, sent } of findJob(sql, jobId)?.images ?? [])
		if (sent.inline) dropImage(sql, jobId, upload, now);
	markGone(sql, jobId);
	clearDue(sql, `expire:${jobId}`);
}

/** Whether a job may be erased: one that is gone already may. */
export function erasable(
	sql: SqlStorage,
	own: MadeBy,
	jobId: string,
): Result<object> {
	const job = findOwnJob(sql, own, jobId);
	if (!job) return failed({ code: "job_not_found" });
	return job.hold.closed ? { ok: true } : failed({ code: "job_not_finished" });
}

/** @param endedAt milliseconds since the epoch */
export const expiry = (job: IndexedJob, endedAt: number): number =>
	endedAt + job.expiresIn * 1000;

/** A job that can be shown. */
export function lookup(
	sql: SqlStorage,
	own: MadeBy,
	jobId: string,
): Result<{ job: JobIndexRow }> {
	const job = findOwnJob(sql, own, jobId);
	if (!job) return failed({ code: "job_not_found" });
	if (job.gone) return failed({ code: "job_gone" });
	return { ok: true, job: rowOf(job) };
}

/** One that must be there. */
function indexedJob(sql: SqlStorage, jobId: string): IndexedJob {
	const job = findJob(sql, jobId);
	if (job) return job;
	throw new Error(`job ${jobId} is not in the index`);
}

/** The job that a request names, by key or by id: also another one's, whose id is taken. */
function named(
	sql: SqlStorage,
	own: MadeBy,
	{ jobId, idempotencyKey }: Pick<Preparation, "jobId" | "idempotencyKey">,
	now: number,
): IndexedJob | null {
	const id =
		(idempotencyKey !== null && jobOfKey(sql, own, idempotencyKey, now)) ||
		jobId;
	return id === null ? null : findJob(sql, id);
}

/**
 * The job of the call that is repeated. It is chosen again at admission, because another repeat may
 * have got the job meanwhile.
 */
function ofRepeat(
	sql: SqlStorage,
	own: MadeBy,
	admission: Admission,
	now: number,
): IndexedJob | null {
	const { repeats } = admission;
	const job = repeats === null ? null : jobOfCall(sql, repeats, now);
	if (!job) return null;
	const body = bodyHashOf(sql, own, admission, job);
	return body.ok && body.hash === job.bodyHash ? job : null;
}

/**
 * SHA-256 over what the caller sent: the request without its images, and the SHA-256 of each image
 * as it was sent. The same photo is thus the same request, by whatever way it came.
 * @param job the job that has this name already: its uploads may be deleted by now
 */
function bodyHashOf(
	sql: SqlStorage,
	own: MadeBy,
	{ requestHash, images }: Admission,
	job: IndexedJob | null,
): Result<{ hash: string }> {
	const sent = job ? sentImages(job) : [];
	const uploads = images.flatMap(({ upload, sha256, field }) =>
		upload !== null && sha256 === null ? [{ upload, field }] : [],
	);
	const others = sentUploads(sql, own, unknownTo(sent, uploads));
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

/** A job that another one may go on from, with all its images. */
function previousOf(
	sql: SqlStorage,
	own: MadeBy,
	id: string,
): Result<{ job: IndexedJob }> {
	const field = "previous_job";
	const job = findOwnJob(sql, own, id);
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

/** A public key would have the account sign messages to any address. */
const WEBHOOK_REFUSED = failed({ code: "bound_key", field: "webhook" });

/** A refusal as a call may read it: how much money there is, is for those who see all of the account. */
function told(failure: Failure, own: MadeBy): Failure {
	if (failure.code !== "insufficient_credit" || own === null) return failure;
	const { available: _, ...rest } = failure;
	return rest;
}

/** The images that the job's own request named or brought. */
const sentImages = ({ images }: IndexedJob): SentImage[] =>
	images
		.filter(({ sent }) => !sent.before)
		.map(({ upload, sent: { sha256, url } }) => ({ upload, sha256, url }));
