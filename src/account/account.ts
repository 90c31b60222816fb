/**
 * One object per account: its keys, its money, its index of jobs, its uploads. Decisions are pure functions in the
 * files beside this one; here they meet storage, the clock and the Job.
 */
import { DurableObject } from "cloudflare:workers";
import { ulid } from "ulid";
import { config, type Env } from "../env.ts";
import type { Failure, Result } from "../errors.ts";
import { writableUntil } from "../images/key.ts";
import { remove } from "../images/s3.ts";
import { log } from "../log.ts";
import { migrate, versionOf } from "../migrate.ts";
import { judge } from "./admission.ts";
import { balances, creditOf, record } from "./books.ts";
import type {
	AccountView,
	Admission,
	Admitted,
	ImageRef,
	JobIndexRow,
	KeyView,
	Outcome,
	Resolution,
	Settlement,
} from "./contract.ts";
import {
	clearDue,
	type Due,
	dueBy,
	earliestDue,
	rearrange,
	setDue,
} from "./due.ts";
import {
	closeJob,
	findJob,
	type HeldImage,
	insertJob,
	pageJobs,
	rowOf,
} from "./jobs.ts";
import { hex, hmac } from "./key.ts";
import { findKey, insertKey, keyOf, listKeys, revokeKey } from "./keys.ts";
import { decide, priceOf } from "./ledger.ts";
import { STEPS } from "./schema.ts";
import {
	createUpload,
	deleteUpload,
	finalizeUpload,
	getUpload,
	holdImages,
	readyUploads,
	releaseImages,
	type StoredImage,
	sweepUpload,
	type UploadDraft,
	type UploadView,
} from "./uploads.ts";

/** How long after admission, or after a running job's deadline, a hold may stay unsettled before the Job is asked. */
export const ORPHAN_AFTER_MS = 60_000;
/** When to try again what just failed. */
const RETRY_MS = 30_000;
const JOB_ANSWERS_WITHIN_MS = 10_000;
const DUE_AT_ONCE = 32;

interface Identity extends Record<string, SqlStorageValue> {
	id: string;
	name: string;
	created_at: number;
	cache_secret: string;
}

export class Account extends DurableObject<Env> {
	/** Milliseconds since the epoch; tests move it. */
	clock = (): number => Date.now();
	readonly #sql: SqlStorage;
	#identity: Identity | null = null;
	/** When the alarm rings, as last seen; read anew at the start of each call. */
	#alarm: number | null = null;

	constructor(ctx: DurableObjectState, env: Env) {
		super(ctx, env);
		this.#sql = ctx.storage.sql;
		if (versionOf(this.#sql) === 0) return;
		ctx.storage.transactionSync(() => migrate(this.#sql, STEPS));
		this.#identity = this.#sql.exec<Identity>("SELECT * FROM account").one();
	}

	// For operators.

	/** Makes the account; repeating it changes nothing. */
	async create(account: {
		id: string;
		name: string;
	}): Promise<Result<{ account: AccountView }>> {
		await this.#wake();
		this.#identity ??= this.#write(() => {
			migrate(this.#sql, STEPS);
			const secret = crypto.getRandomValues(new Uint8Array(32));
			return this.#sql
				.exec<Identity>(
					"INSERT INTO account VALUES (?, ?, ?, ?) RETURNING *",
					account.id,
					account.name,
					this.clock(),
					hex(secret.buffer),
				)
				.one();
		});
		return { ok: true, account: this.#view(this.#identity) };
	}

	async show(): Promise<Result<{ account: AccountView }>> {
		await this.#wake();
		if (!this.#identity) return failed({ code: "account_not_found" });
		return { ok: true, account: this.#view(this.#identity) };
	}

	/** Adds credit once per id. */
	async credit(credit: {
		id: string;
		amount: number;
	}): Promise<Result<{ account: AccountView }>> {
		await this.#wake();
		const identity = this.#identity;
		if (!identity) return failed({ code: "account_not_found" });
		const now = this.clock();
		return this.#write(() => {
			const known = creditOf(this.#sql, credit.id);
			const decision = decide(
				{
					balances: balances(this.#sql),
					credits: new Map(known === undefined ? [] : [[credit.id, known]]),
					holds: new Map(),
				},
				{ kind: "credit", ...credit },
				now,
			);
			if (!decision.ok) return decision;
			record(this.#sql, decision.entries, now);
			return { ok: true, account: this.#view(identity) };
		});
	}

	async createKey(key: {
		name: string;
		secretHash: string;
	}): Promise<Result<{ key: KeyView }>> {
		await this.#wake();
		if (!this.#identity) return failed({ code: "account_not_found" });
		const now = this.clock();
		const id = `key_${ulid(now)}`;
		this.#write(() => insertKey(this.#sql, { id, ...key }, now));
		return this.#key(id);
	}

	async revokeKey(id: string): Promise<Result<{ key: KeyView }>> {
		await this.#wake();
		if (!this.#identity) return failed({ code: "account_not_found" });
		this.#write(() => revokeKey(this.#sql, id, this.clock()));
		return this.#key(id);
	}

	async keys(): Promise<Result<{ keys: KeyView[] }>> {
		await this.#wake();
		if (!this.#identity) return failed({ code: "account_not_found" });
		return { ok: true, keys: listKeys(this.#sql) };
	}

	// For callers. Each names its key, so that one RPC authenticates and answers.

	async authenticate(secretHash: string): Promise<Result<{ keyId: string }>> {
		await this.#wake();
		return this.#authenticate(secretHash);
	}

	async showTo(secretHash: string): Promise<Result<{ account: AccountView }>> {
		return this.#asCaller(secretHash, (identity) => ({
			ok: true,
			account: this.#view(identity),
		}));
	}

	/** Key, hold, index row and image holds in one transaction. Repeating it changes nothing; a refusal leaves no row. */
	async admit(admission: Admission): Promise<Admitted> {
		await this.#wake();
		const known = this.#authenticate(admission.secretHash);
		if (!known.ok) return known;
		const now = this.clock();
		const admitted = this.#refusable(() => this.#admit(admission, now));
		if (!admitted.ok) return admitted;
		const secret = known.identity.cache_secret;
		return {
			ok: true,
			answer: admitted.answer,
			jobId: admission.jobId,
			images: await withCacheIds(secret, admitted.images),
			cacheSalt: hex((await hmac(secret, "prefix")).buffer as ArrayBuffer),
			createdAt: new Date(admitted.createdAt).toISOString(),
		};
	}

	async lookup(
		secretHash: string,
		jobId: string,
	): Promise<Result<{ job: JobIndexRow }>> {
		return this.#asCaller(secretHash, () => {
			const job = findJob(this.#sql, jobId);
			if (!job) return failed({ code: "job_not_found" });
			if (job.void) return failed({ code: "job_gone" });
			return { ok: true, job: rowOf(job) };
		});
	}

	/** The index, newest first. */
	async jobs(
		secretHash: string,
		page: { cursor: string | null; limit: number },
	): Promise<Result<{ jobs: JobIndexRow[]; nextCursor: string | null }>> {
		return this.#asCaller(secretHash, () => {
			const found = pageJobs(this.#sql, page.cursor, page.limit);
			if (found) return { ok: true, ...found };
			return failed({
				code: "invalid_request",
				field: "cursor",
				detail:
					"`cursor` is not one of ours. Send the last page's `next_cursor`, or leave it out.",
			});
		});
	}

	// Uploads. Several at once, since a job brings its inline images together.

	/** Makes room for what is about to be sent: a row comes before its object. */
	async createUploads(
		secretHash: string,
		drafts: UploadDraft[],
	): Promise<Result<{ uploads: UploadView[] }>> {
		const now = this.clock();
		return this.#asCaller(secretHash, ({ id }) => ({
			ok: true,
			uploads: this.#write(() =>
				drafts.map((draft) => createUpload(this.#sql, id, draft, now)),
			),
		}));
	}

	/** The objects are stored. Repeating it changes nothing. */
	async finalizeUploads(
		secretHash: string,
		stored: ({ id: string } & StoredImage)[],
	): Promise<Result<{ uploads: UploadView[] }>> {
		const finalize = (image: { id: string } & StoredImage) => {
			const done = finalizeUpload(this.#sql, image.id, image, this.clock());
			if (!done.ok) throw new Refusal(done.failure);
			return done.upload;
		};
		return this.#asCaller(secretHash, () =>
			this.#refusable(() => ({ uploads: stored.map(finalize) })),
		);
	}

	async upload(
		secretHash: string,
		id: string,
	): Promise<Result<{ upload: UploadView }>> {
		return this.#asCaller(secretHash, () => getUpload(this.#sql, id));
	}

	/** The named uploads, all ready for a job; `fields` are the request's, for errors. */
	async uploads(
		secretHash: string,
		ids: string[],
		fields: string[],
	): Promise<Result<{ uploads: UploadView[] }>> {
		return this.#asCaller(secretHash, () =>
			readyUploads(this.#sql, ids, fields),
		);
	}

	/** An image that a job holds lives until the job ends. */
	async deleteUpload(
		secretHash: string,
		id: string,
	): Promise<Result<{ id: string }>> {
		return this.#asCaller(secretHash, () =>
			this.#write(() => deleteUpload(this.#sql, id, this.clock())),
		);
	}

	// For the Job.

	/** The job's one debit or release, the same answer on every repeat; null where no such job was admitted here. */
	async settle(outcome: Outcome): Promise<Settlement | null> {
		await this.#wake();
		if (!this.#identity || !findJob(this.#sql, outcome.jobId)) {
			log("settle_unknown", { job: outcome.jobId });
			return null;
		}
		return this.#write(() => this.#close(outcome, false));
	}

	// What is due.

	override async alarm(): Promise<void> {
		try {
			const due = dueBy(this.#sql, this.clock(), DUE_AT_ONCE);
			await Promise.all(due.map((row) => this.#dispatch(row)));
		} catch (error) {
			log("alarm_failed", { object: "account", cause: String(error) });
		} finally {
			this.#alarm = null;
			this.#arm();
		}
	}

	/** Does what is due, each failure for itself, and notes when to look again. */
	async #dispatch(due: Due): Promise<void> {
		let next: number | null;
		try {
			next = await this.#act(due.key);
		} catch (error) {
			log("due_failed", { due: due.key, cause: String(error) });
			next = this.clock() + RETRY_MS;
		}
		rearrange(this.#sql, due, next);
	}

	/** @returns when to look again, or null when it is done with */
	async #act(key: string): Promise<number | null> {
		const colon = key.indexOf(":");
		const [kind, ref] = [key.slice(0, colon), key.slice(colon + 1)];
		switch (kind) {
			case "orphan":
				return this.#askJob(ref);
			case "upload":
				this.#write(() => sweepUpload(this.#sql, ref, this.clock()));
				return null;
			case "object":
				return this.#deleteObject(ref);
			default:
				throw new Error(`nothing acts on ${kind}`);
		}
	}

	/**
	 * A hold that stayed unsettled: only the Job knows whether it ran. `void` means that it never started and, by its
	 * tombstone, never will; nothing but that or an outcome frees the hold.
	 */
	async #askJob(jobId: string): Promise<number | null> {
		const job = this.env.JOB.get(
			this.env.JOB.idFromName(`${this.#id()}/${jobId}`),
		);
		const resolution: Resolution = await within<Resolution>(
			JOB_ANSWERS_WITHIN_MS,
			job.resolve(),
		);
		const now = this.clock();
		switch (resolution.answer) {
			case "running":
				return Math.max(resolution.until, now) + ORPHAN_AFTER_MS;
			case "void":
				this.#write(() =>
					this.#close(
						{ jobId, status: "expired", outputTokens: 0, maxTokens: 0 },
						true,
					),
				);
				return null;
			case "finished":
				this.#write(() => this.#close(resolution.outcome, false));
				return null;
		}
	}

	/** An object that a caller may still write by a presigned PUT is deleted again after that. */
	async #deleteObject(key: string): Promise<number | null> {
		const now = this.clock();
		await remove(config(this.env), key);
		const until = writableUntil(key);
		return now > until ? null : until + 1;
	}

	// Inside transactions.

	#admit(
		admission: Admission,
		now: number,
	): { answer: "new" | "same"; images: HeldImage[]; createdAt: number } {
		const { jobId, bodyHash, model, maxPrice } = admission;
		const verdict = judge(
			{ job: findJob(this.#sql, jobId), balances: balances(this.#sql) },
			admission,
			now,
		);
		if (verdict.answer === "refused") throw new Refusal(verdict.failure);
		if (verdict.answer === "same") {
			const { images, createdAt } = verdict.job;
			return { answer: "same", images, createdAt };
		}
		const held = holdImages(
			this.#sql,
			jobId,
			admission.images,
			admission.fields,
		);
		if (!held.ok) throw new Refusal(held.failure);
		const { images } = held;
		record(this.#sql, verdict.entries, now);
		insertJob(this.#sql, {
			id: jobId,
			bodyHash,
			model,
			images,
			hold: maxPrice,
			createdAt: now,
		});
		setDue(this.#sql, `orphan:${jobId}`, now + ORPHAN_AFTER_MS);
		return { answer: "new", images, createdAt: now };
	}

	#close(outcome: Outcome, neverStarted: boolean): Settlement {
		const { jobId, status } = outcome;
		const job = this.#identity && findJob(this.#sql, jobId);
		if (!job) throw new Error(`no job ${jobId} was admitted here`);
		const now = this.clock();
		const decision = decide(
			{
				balances: balances(this.#sql),
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
			record(this.#sql, decision.entries, now);
			closeJob(this.#sql, jobId, { status, void: neverStarted }, closing);
			clearDue(this.#sql, `orphan:${jobId}`);
			for (const key of releaseImages(this.#sql, jobId))
				setDue(this.#sql, `object:${key}`, now);
		}
		return {
			price: closing.price,
			balance: closing.balance,
			settledAt: new Date(closing.at).toISOString(),
		};
	}

	// Storage.

	/** At the start of every call: arms an alarm that is missing, however it went missing. */
	async #wake(): Promise<void> {
		if (!this.#identity) return;
		this.#alarm = await this.ctx.storage.getAlarm();
		this.#arm();
	}

	/**
	 * Rings at the earliest due time. Not awaited: the platform commits it with the writes of the same turn.
	 * An alarm that rings too early finds nothing due, which is cheaper than moving it at each settlement.
	 */
	#arm(): void {
		if (!this.#identity) return;
		const next = earliestDue(this.#sql);
		if (next === null || (this.#alarm !== null && this.#alarm <= next)) return;
		this.#alarm = next;
		void this.ctx.storage.setAlarm(next);
	}

	#write<T>(change: () => T): T {
		const result = this.ctx.storage.transactionSync(change);
		this.#arm();
		return result;
	}

	/** A write that may end in a refusal, which rolls back whatever it wrote. */
	#refusable<T extends object>(change: () => T): Result<T> {
		try {
			return { ok: true, ...this.#write(change) };
		} catch (error) {
			if (error instanceof Refusal) return failed(error.failure);
			throw error;
		}
	}

	/** What every caller's method begins with. */
	async #asCaller<T extends object>(
		secretHash: string,
		act: (identity: Identity) => Result<T>,
	): Promise<Result<T>> {
		await this.#wake();
		const known = this.#authenticate(secretHash);
		return known.ok ? act(known.identity) : known;
	}

	#authenticate(
		secretHash: string,
	): Result<{ keyId: string; identity: Identity }> {
		if (!this.#identity) return failed({ code: "invalid_key" });
		const key = keyOf(this.#sql, secretHash);
		return key.ok ? { ...key, identity: this.#identity } : key;
	}

	/** @throws Error where no account was created */
	#id(): string {
		if (!this.#identity) throw new Error("no account was created here");
		return this.#identity.id;
	}

	#key(id: string): Result<{ key: KeyView }> {
		const key = findKey(this.#sql, id);
		return key ? { ok: true, key } : failed({ code: "key_not_found" });
	}

	#view(identity: Identity): AccountView {
		const { available, held } = balances(this.#sql);
		return {
			id: identity.id,
			name: identity.name,
			createdAt: new Date(identity.created_at).toISOString(),
			available,
			held,
		};
	}
}

/** Carries a failure out of a transaction, so that it rolls back. */
class Refusal extends Error {
	readonly failure: Failure;

	constructor(failure: Failure) {
		super(failure.code);
		this.failure = failure;
	}
}

const failed = (failure: Failure): { ok: false; failure: Failure } => ({
	ok: false,
	failure,
});

const withCacheIds = (
	secret: string,
	images: readonly HeldImage[],
): Promise<ImageRef[]> =>
	Promise.all(
		images.map(async (image) => ({
			...image,
			cacheId: hex((await hmac(secret, image.sha256)).buffer as ArrayBuffer),
		})),
	);

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
