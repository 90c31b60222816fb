/**
 * What the account's alarm does: the due table says what and when. Each task may run again, and
 * fails by itself.
 */

import type { Resolution } from "../contract/account.ts";
import type { Erased } from "../contract/job.ts";
import type { ObjectStorage } from "../durable/storage.ts";
import { config } from "../env.ts";
import { stagedAt } from "../images/key.ts";
import { remove } from "../images/s3.ts";
import { logLine } from "../log.ts";
import type { Measurement } from "../metrics/catalog.ts";
import { endpointOf, jobOf } from "../objects.ts";
import { FREE } from "../pricing/bill.ts";
import { chargeCard } from "./auto-top-up-rows.ts";
import { eraseClosed } from "./closing.ts";
import { type DueTask, dueBy, reschedule } from "./due.ts";
import { sweepIdempotencyKeys } from "./idempotency.ts";
import { findJob, setExpiry } from "./jobs.ts";
import { CLEARED, ledgerTask } from "./ledger-tasks.ts";
import { expiry, ORPHAN_AFTER_MS, recordErasure, settle } from "./lifecycle.ts";
import { nextSweep } from "./staging-sweeps.ts";
import { deleteUpload } from "./uploads.ts";
import { deleteWebhook, revision } from "./webhooks.ts";

/** When a task that failed runs again. */
const RETRY_MS = 30_000;
/** When to ask again a job that is settled and has not written that itself. */
const STILL_RUNNING_MS = 60_000;
const JOB_ANSWERS_WITHIN_MS = 10_000;
const ENDPOINT_ANSWERS_WITHIN_MS = 10_000;
/** When to look again at a jobs' webhook with open deliveries. */
const STILL_OPEN_MS = 24 * 60 * 60_000;
const AT_ONCE = 32;

/** What tasks work with. */
export interface TaskContext {
	env: Env;
	store: ObjectStorage;
	/** The account's id. */
	account: string;
	clock: () => number;
	/** Called once the account's own row has changed. */
	onIdentityChanged: () => void;
	measure: (measured: readonly Measurement[]) => void;
}

/** Runs a batch of the tasks that are due. The others stay due. */
export async function runDueTasks(context: TaskContext): Promise<void> {
	const due = dueBy(context.store.sql, context.clock(), AT_ONCE);
	await Promise.all(due.map((each) => runAndReschedule(context, each)));
}

/**
 * Erases a job for its owner. The job expires soon first, so that a crash in between leaves no half
 * of it; it expires in its time where it turns out not to have ended.
 */
export async function eraseNow(
	context: TaskContext,
	jobId: string,
): Promise<Erased> {
	const { store, clock } = context;
	const job = findJob(store.sql, jobId);
	if (!job || job.gone) return "erased";
	const now = clock();
	const expireAt = (at: number) =>
		store.write(() => setExpiry(store.sql, jobId, at));
	expireAt(now + RETRY_MS);
	const erased = await eraseJob(context, jobId);
	if (erased === "running") expireAt(expiry(job, now));
	return erased;
}

/** Erases a job's log, then what the account has of it. A job that has not ended stays as it is. */
async function eraseJob(context: TaskContext, jobId: string): Promise<Erased> {
	const erased: Erased = await within(
		JOB_ANSWERS_WITHIN_MS,
		jobOf(context.env, context.account, jobId).erase(),
	);
	const { store, clock } = context;
	if (erased === "erased")
		store.write(() => recordErasure(store.sql, jobId, clock()));
	return erased;
}

/** Runs one task, and clears its row or sets its next time. */
async function runAndReschedule(
	context: TaskContext,
	due: DueTask,
): Promise<void> {
	let next: number | null | typeof CLEARED;
	try {
		next = await runTask(context, due);
	} catch (error) {
		logLine("due_failed", { due: due.key, cause: String(error) });
		next = context.clock() + RETRY_MS;
	}
	if (next !== CLEARED) reschedule(context.store.sql, due, next);
}

/** @returns when to run again, or null when the task is done */
async function runTask(
	context: TaskContext,
	due: DueTask,
): Promise<number | null | typeof CLEARED> {
	const { store, clock } = context;
	const { key } = due;
	const colon = key.indexOf(":");
	const [kind, ref] = [key.slice(0, colon), key.slice(colon + 1)];
	switch (kind) {
		case "orphan":
			return askJob(context, ref);
		case "expire":
			return (await eraseJob(context, ref)) === "erased"
				? null
				: clock() + STILL_RUNNING_MS;
		case "upload":
			store.write(() => deleteUpload(store.sql, null, ref, clock()));
			return null;
		case "object":
		case "late":
			return deleteObject(context, ref);
		case "keys":
			return store.write(() => sweepIdempotencyKeys(store.sql, clock()));
		case "notify":
			return notifyEndpoint(context, due);
		case "ledger":
			return ledgerTask(context, due);
		case "charge":
			return chargeCard(context);
		case "close":
			return eraseClosed(context);
		case "hook":
			return deleteUnused(context, ref);
		default:
			throw new Error(`no task is called ${kind}`);
	}
}

/**
 * Asks the Job of a hold that stayed unsettled: only the Job knows whether it ran. `void` means
 * that it never started and, by its tombstone, never will. Only that or an outcome frees the hold.
 */
async function askJob(
	context: TaskContext,
	jobId: string,
): Promise<number | null> {
	const { store, clock } = context;
	const resolution: Resolution = await within<Resolution>(
		JOB_ANSWERS_WITHIN_MS,
		jobOf(context.env, context.account, jobId).resolve(),
	);
	const now = clock();
	switch (resolution.status) {
		case "running":
			return Math.max(resolution.until, now) + ORPHAN_AFTER_MS;
		case "void":
			store.write(() =>
				settle(store.sql, { jobId, status: "expired", ...FREE }, true, now),
			);
			return null;
		case "finished":
			store.write(() => settle(store.sql, resolution.outcome, false, now));
			return null;
	}
}

/**
 * Notifies a webhook's Endpoint, which then reads the feed by itself. It may have missed what was
 * written during the call, so the row is cleared in the turn that sees that nothing was.
 */
async function notifyEndpoint(
	{ env, store, account, clock }: TaskContext,
	due: DueTask,
): Promise<number | typeof CLEARED> {
	const id = due.key.slice("notify:".length);
	const notified = revision(store.sql, id);
	await within(
		ENDPOINT_ANSWERS_WITHIN_MS,
		endpointOf(env, account, id).notify({ account, id }),
	);
	if (revision(store.sql, id) !== notified) return clock();
	reschedule(store.sql, due, null);
	return CLEARED;
}

/** Deletes a jobs' webhook that no job has named in a long time, unless it has open deliveries. */
async function deleteUnused(
	{ env, store, account, clock }: TaskContext,
	id: string,
): Promise<number | null> {
	const idle = await within<boolean>(
		ENDPOINT_ANSWERS_WITHIN_MS,
		endpointOf(env, account, id).idle(),
	);
	if (!idle) return clock() + STILL_OPEN_MS;
	store.write(() => deleteWebhook(store.sql, id, clock()));
	return null;
}

/** Deletes an object; again and again where a caller may still write it by a presigned PUT. */
async function deleteObject(
	{ env, clock }: TaskContext,
	key: string,
): Promise<number | null> {
	const now = clock();
	await remove(config(env), key);
	const createdAt = stagedAt(key);
	return createdAt === null ? null : nextSweep(createdAt, now);
}

/** What the call returns. @throws Error where that takes longer than `ms` */
async function within<T>(ms: number, call: Promise<T>): Promise<T> {
	let timer: ReturnType<typeof setTimeout> | undefined;
	const late = new Promise<never>((_, reject) => {
		timer = setTimeout(() => reject(new Error(`no answer in ${ms} ms`)), ms);
	});
	try {
		return await Promise.race([call, late]);
	} finally {
		clearTimeout(timer);
	}
}
