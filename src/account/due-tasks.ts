/** What the account's alarm does: the due table says what and when. Each chore may be done again, and fails for itself. */

import type { Resolution } from "../contract/account.ts";
import type { Erased } from "../contract/job.ts";
import type { ObjectStorage } from "../durable/storage.ts";
import { config } from "../env.ts";
import { stagedAt } from "../images/key.ts";
import { remove } from "../images/s3.ts";
import { log } from "../log.ts";
import { endpointOf, jobOf } from "../objects.ts";
import { type Due, dueBy, reschedule } from "./due.ts";
import { sweepKeys } from "./idempotency.ts";
import { forget, ORPHAN_AFTER_MS, settle } from "./lifecycle.ts";
import { nextSweep } from "./staging.ts";
import { deleteUpload } from "./uploads.ts";
import { deleteWebhook, revision } from "./webhooks.ts";

/** When to try again what just failed. */
export const RETRY_MS = 30_000;
/** When to look again after a job that is settled and has not noted it. */
const STILL_RUNNING_MS = 60_000;
const JOB_ANSWERS_WITHIN_MS = 10_000;
const ENDPOINT_ANSWERS_WITHIN_MS = 10_000;
/** When to look again after a webhook of jobs that is still owed something. */
const STILL_OWED_MS = 24 * 60 * 60_000;
const AT_ONCE = 32;
/** A chore that has cleared its row itself, in the turn in which it saw that it may. */
const CLEARED = "cleared";

/** What chores work with. */
export interface TaskContext {
	env: Env;
	store: ObjectStorage;
	/** The account's id. */
	account: string;
	clock: () => number;
}

/** Does what is due, a batch of it. What is left is due still. */
export async function runDueTasks(place: TaskContext): Promise<void> {
	const due = dueBy(place.store.sql, place.clock(), AT_ONCE);
	await Promise.all(due.map((each) => runAndReschedule(place, each)));
}

/** Erases a job's log, then what the account has of it. A job that has not ended is left alone. */
export async function eraseJob(
	place: TaskContext,
	jobId: string,
): Promise<Erased> {
	const answer: Erased = await within(
		JOB_ANSWERS_WITHIN_MS,
		jobOf(place.env, place.account, jobId).erase(),
	);
	const { store, clock } = place;
	if (answer === "erased") store.write(() => forget(store.sql, jobId, clock()));
	return answer;
}

/** One chore, and when to look again. */
async function runAndReschedule(place: TaskContext, due: Due): Promise<void> {
	let next: number | null | typeof CLEARED;
	try {
		next = await runTask(place, due);
	} catch (error) {
		log("due_failed", { due: due.key, cause: String(error) });
		next = place.clock() + RETRY_MS;
	}
	if (next !== CLEARED) reschedule(place.store.sql, due, next);
}

/** @returns when to look again, or null when it is done with */
async function runTask(
	place: TaskContext,
	due: Due,
): Promise<number | null | typeof CLEARED> {
	const { store, clock } = place;
	const { key } = due;
	const colon = key.indexOf(":");
	const [kind, ref] = [key.slice(0, colon), key.slice(colon + 1)];
	switch (kind) {
		case "orphan":
			return askJob(place, ref);
		case "expire":
			return (await eraseJob(place, ref)) === "erased"
				? null
				: clock() + STILL_RUNNING_MS;
		case "upload":
			store.write(() => deleteUpload(store.sql, null, ref, clock()));
			return null;
		case "object":
		case "late":
			return deleteObject(place, ref);
		case "keys":
			return store.write(() => sweepKeys(store.sql, clock()));
		case "notify":
			return notifyEndpoint(place, due);
		case "hook":
			return dropUnused(place, ref);
		default:
			throw new Error(`nothing acts on ${kind}`);
	}
}

/**
 * A hold that stayed unsettled: only the Job knows whether it ran. `void` means that it never started and, by its
 * tombstone, never will; nothing but that or an outcome frees the hold.
 */
async function askJob(
	place: TaskContext,
	jobId: string,
): Promise<number | null> {
	const { store, clock } = place;
	const resolution: Resolution = await within<Resolution>(
		JOB_ANSWERS_WITHIN_MS,
		jobOf(place.env, place.account, jobId).resolve(),
	);
	const now = clock();
	switch (resolution.answer) {
		case "running":
			return Math.max(resolution.until, now) + ORPHAN_AFTER_MS;
		case "void":
			store.write(() =>
				settle(
					store.sql,
					{ jobId, status: "expired", outputTokens: 0, maxTokens: 0 },
					true,
					now,
				),
			);
			return null;
		case "finished":
			store.write(() => settle(store.sql, resolution.outcome, false, now));
			return null;
	}
}

/**
 * An Endpoint that is told reads the feed by itself, then or later. What was written while it was being told it may have
 * missed, so the row is cleared in the turn that sees that there was nothing.
 */
async function notifyEndpoint(
	{ env, store, account, clock }: TaskContext,
	due: Due,
): Promise<number | typeof CLEARED> {
	const id = due.key.slice("notify:".length);
	const told = revision(store.sql, id);
	await within(
		ENDPOINT_ANSWERS_WITHIN_MS,
		endpointOf(env, account, id).tell({ account, id }),
	);
	if (revision(store.sql, id) !== told) return clock();
	reschedule(store.sql, due, null);
	return CLEARED;
}

/** A webhook of jobs that no job has named in a long time, unless something is still owed to it. */
async function dropUnused(
	{ env, store, account, clock }: TaskContext,
	id: string,
): Promise<number | null> {
	const idle = await within<boolean>(
		ENDPOINT_ANSWERS_WITHIN_MS,
		endpointOf(env, account, id).idle(),
	);
	if (!idle) return clock() + STILL_OWED_MS;
	store.write(() => deleteWebhook(store.sql, id, clock()));
	return null;
}

/** An object that a caller may still write by a presigned PUT is deleted again, until that is over. */
async function deleteObject(
	{ env, clock }: TaskContext,
	key: string,
): Promise<number | null> {
	const now = clock();
	await remove(config(env), key);
	const createdAt = stagedAt(key);
	return createdAt === null ? null : nextSweep(createdAt, now);
}

/** @throws Error when the answer takes longer */
async function within<T>(ms: number, answer: Promise<T>): Promise<T> {
	let timer: ReturnType<typeof setTimeout> | undefined;
	const late = new Promise<never>((_, reject) => {
		timer = setTimeout(() => reject(new Error(`no answer in ${ms} ms`)), ms);
	});
	try {
		return await Promise.race([answer, late]);
	} finally {
		clearTimeout(timer);
	}
}
