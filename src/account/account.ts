/**
 * One object per account: its keys, its money, its index of jobs, its uploads. What it decides and writes is in the files
 * beside this one, by subject; here are the calls that it takes.
 */
import { DurableObject } from "cloudflare:workers";
import { config, type Env } from "../env.ts";
import { failed, type Result } from "../errors.ts";
import { log } from "../log.ts";
import { addCredit } from "./books.ts";
import { cacheSalt, withCacheIds } from "./cache.ts";
import { erase, type Place, RETRY_MS, work } from "./chores.ts";
import type {
	AccountView,
	Admission,
	Admitted,
	Answer,
	Credential,
	Inquired,
	Inquiry,
	JobIndexRow,
	KeyView,
	Outcome,
	Settlement,
} from "./contract.ts";
import { setDue } from "./due.ts";
import {
	accountView,
	createIdentity,
	type Identity,
	identityOf,
} from "./identity.ts";
import { findJob, pageJobs } from "./jobs.ts";
import {
	addKey,
	createKey,
	dropKey,
	keyOf,
	listKeys,
	type NewKey,
	revokeKey,
} from "./keys.ts";
import {
	admit,
	erasable,
	expiry,
	inquire,
	lookup,
	settle,
} from "./lifecycle.ts";
import { Meter } from "./meter.ts";
import { agreed, Store } from "./store.ts";
import {
	createUpload,
	deleteUpload,
	discardUploads,
	finalizeUpload,
	getUpload,
	type StoredImage,
	type UploadDraft,
	type UploadView,
} from "./uploads.ts";

export class Account extends DurableObject<Env> {
	/** Milliseconds since the epoch; tests move it. */
	clock = (): number => Date.now();
	readonly #store: Store;
	readonly #sql: SqlStorage;
	readonly #meter: Meter;
	#identity: Identity | null;

	constructor(ctx: DurableObjectState, env: Env) {
		super(ctx, env);
		this.#store = new Store(ctx.storage);
		this.#sql = this.#store.sql;
		this.#meter = new Meter(this.#sql);
		this.#identity = this.#store.made ? identityOf(this.#sql) : null;
	}

	// For operators.

	/** Makes the account; repeating it changes nothing. */
	async create(account: {
		id: string;
		name: string;
	}): Promise<Result<{ account: AccountView }>> {
		await this.#store.wake();
		this.#identity ??= this.#store.make((sql) =>
			createIdentity(sql, account, this.clock()),
		);
		return this.show();
	}

	async show(): Promise<Result<{ account: AccountView }>> {
		return this.#asOperator((identity) => ({
			ok: true,
			account: accountView(this.#sql, identity),
		}));
	}

	/** Adds credit once per id. */
	async credit(credit: {
		id: string;
		amount: number;
	}): Promise<Result<{ account: AccountView }>> {
		return this.#asOperator((identity) =>
			this.#store.refusable(() => {
				agreed(addCredit(this.#sql, credit, this.clock()));
				return { account: accountView(this.#sql, identity) };
			}),
		);
	}

	async createKey(key: NewKey): Promise<Result<{ key: KeyView }>> {
		return this.#asOperator(() =>
			this.#store.write(() => createKey(this.#sql, key, this.clock())),
		);
	}

	async revokeKey(id: string): Promise<Result<{ key: KeyView }>> {
		return this.#asOperator(() =>
			this.#store.write(() => revokeKey(this.#sql, id, this.clock())),
		);
	}

	async keys(): Promise<Result<{ keys: KeyView[] }>> {
		return this.#asOperator(() => ({ ok: true, keys: listKeys(this.#sql) }));
	}

	// For callers. Each names its key, so that one RPC authenticates and answers. A request's first call counts against
	// the rate; those that can only follow another one (`admit`, `finalizeUploads`, `discardUploads`) do not.

	async authenticate(
		secretHash: Credential,
	): Promise<Answer<{ keyId: string }>> {
		return this.#asCaller(secretHash, (_, keyId) => ({ ok: true, keyId }));
	}

	async showTo(
		secretHash: Credential,
	): Promise<Answer<{ account: AccountView }>> {
		return this.#asCaller(secretHash, (identity) => ({
			ok: true,
			account: accountView(this.#sql, identity),
		}));
	}

	async keysOf(credential: Credential): Promise<Answer<{ keys: KeyView[] }>> {
		return this.#asCaller(credential, (_, keyId) => ({
			ok: true,
			keys: listKeys(this.#sql, keyId),
		}));
	}

	/** Makes a key as its owner, who may have only so many. */
	async addKey(
		credential: Credential,
		key: NewKey,
	): Promise<Answer<{ key: KeyView }>> {
		return this.#asCaller(credential, (_, keyId) =>
			this.#store.write(() => addKey(this.#sql, keyId, key, this.clock())),
		);
	}

	/** Revokes a key as its owner, who keeps one to go on with. */
	async dropKey(
		credential: Credential,
		id: string,
	): Promise<Answer<{ key: KeyView }>> {
		return this.#asCaller(credential, (_, keyId) =>
			this.#store.write(() => dropKey(this.#sql, keyId, id, this.clock())),
		);
	}

	/** Before a job's images are read: who asks, what the name stands for, and whether there is money and room. */
	async inquire(inquiry: Inquiry): Promise<Inquired> {
		return this.#asCaller(inquiry.secretHash, () =>
			inquire(this.#sql, inquiry, this.#jobs(), this.clock()),
		);
	}

	/** Key, hold, index row and image holds in one transaction. Repeating it changes nothing; a refusal leaves no row. */
	async admit(admission: Admission): Promise<Admitted> {
		const answer = await this.#asCaller(
			admission.secretHash,
			() =>
				this.#store.refusable(() =>
					admit(this.#sql, admission, this.#jobs(), this.clock()),
				),
			"follows",
		);
		if (!answer.ok) return answer;
		const secret = (this.#identity as Identity).cache_secret;
		return {
			...answer,
			images: await withCacheIds(secret, answer.images),
			cacheSalt: await cacheSalt(secret),
			createdAt: new Date(answer.createdAt).toISOString(),
		};
	}

	async lookup(
		secretHash: Credential,
		jobId: string,
	): Promise<Answer<{ job: JobIndexRow }>> {
		return this.#asCaller(secretHash, () => lookup(this.#sql, jobId));
	}

	/** The index, newest first, without what was deleted or expired. */
	async jobs(
		secretHash: Credential,
		page: { cursor: string | null; limit: number },
	): Promise<Answer<{ jobs: JobIndexRow[]; nextCursor: string | null }>> {
		return this.#asCaller(secretHash, () =>
			pageJobs(this.#sql, page.cursor, page.limit),
		);
	}

	/** Erases a job that has ended, once it is asked for whatever dies meanwhile. Repeating it changes nothing. */
	async eraseJob(
		secretHash: Credential,
		jobId: string,
	): Promise<Answer<object>> {
		const now = this.clock();
		const found = await this.#asCaller(secretHash, () =>
			erasable(this.#sql, jobId),
		);
		const job = found.ok && findJob(this.#sql, jobId);
		if (!job || job.gone) return found;
		const expires = (at: number) =>
			this.#store.write(() => setDue(this.#sql, `expire:${jobId}`, at));
		expires(now + RETRY_MS);
		if ((await erase(this.#place(), jobId)) === "erased") return found;
		expires(expiry(job, now));
		return { ...found, ...failed({ code: "job_not_finished" }) };
	}

	// Uploads. Several at once, since a job brings its inline images together.

	/** Makes room for what is about to be sent: a row comes before its object. */
	async createUploads(
		secretHash: Credential,
		drafts: UploadDraft[],
	): Promise<Answer<{ uploads: UploadView[] }>> {
		const now = this.clock();
		const inline = drafts.every(({ way }) => way === "inline");
		return this.#asCaller(
			secretHash,
			({ id }) => ({
				ok: true,
				uploads: this.#store.write(() =>
					drafts.map((draft) => createUpload(this.#sql, id, draft, now)),
				),
			}),
			inline ? "follows" : "counts",
		);
	}

	/** The objects are stored. Repeating it changes nothing. */
	async finalizeUploads(
		secretHash: Credential,
		stored: ({ id: string } & StoredImage)[],
	): Promise<Answer<{ uploads: UploadView[] }>> {
		const now = this.clock();
		const finalize = (image: { id: string } & StoredImage) =>
			agreed(finalizeUpload(this.#sql, image.id, image, now)).upload;
		return this.#asCaller(
			secretHash,
			() => this.#store.refusable(() => ({ uploads: stored.map(finalize) })),
			"follows",
		);
	}

	/** What was created and came to nothing. An upload that is ready, or a job's, stays. */
	async discardUploads(
		secretHash: Credential,
		ids: string[],
	): Promise<Answer<object>> {
		return this.#asCaller(
			secretHash,
			() => {
				this.#store.write(() => discardUploads(this.#sql, ids, this.clock()));
				return { ok: true };
			},
			"follows",
		);
	}

	async upload(
		secretHash: Credential,
		id: string,
	): Promise<Answer<{ upload: UploadView }>> {
		return this.#asCaller(secretHash, () => getUpload(this.#sql, id));
	}

	/** An image that a job holds lives until the job ends. */
	async deleteUpload(
		secretHash: Credential,
		id: string,
	): Promise<Answer<{ id: string }>> {
		return this.#asCaller(secretHash, () =>
			this.#store.write(() => deleteUpload(this.#sql, id, this.clock())),
		);
	}

	// For the Job.

	/** The job's one debit or release, the same answer on every repeat; null where no such job was admitted here. */
	async settle(outcome: Outcome): Promise<Settlement | null> {
		await this.#store.wake();
		const settlement = this.#identity
			? this.#store.write(() => settle(this.#sql, outcome, false, this.clock()))
			: null;
		if (!settlement) log("settle_unknown", { job: outcome.jobId });
		return settlement;
	}

	// What is due.

	override async alarm(): Promise<void> {
		try {
			if (this.#identity) await work(this.#place());
		} catch (error) {
			log("alarm_failed", { object: "account", cause: String(error) });
		} finally {
			this.#store.rang();
		}
	}

	#place(): Place {
		return {
			env: this.env,
			store: this.#store,
			account: (this.#identity as Identity).id,
			clock: () => this.clock(),
		};
	}

	#jobs() {
		return this.#meter.jobs(config(this.env));
	}

	/** What every operator's method begins with. */
	async #asOperator<T extends object>(
		act: (identity: Identity) => Result<T>,
	): Promise<Result<T>> {
		await this.#store.wake();
		return this.#identity
			? act(this.#identity)
			: failed({ code: "account_not_found" });
	}

	/** What every caller's method begins with, and the limits that every answer tells. */
	async #asCaller<T extends object>(
		secretHash: Credential,
		act: (identity: Identity, keyId: string) => Result<T>,
		rate: "counts" | "follows" = "counts",
	): Promise<Answer<T>> {
		await this.#store.wake();
		if (!this.#identity) return failed({ code: "invalid_key" });
		const key = keyOf(this.#sql, secretHash);
		if (!key.ok) return key;
		const quotas = config(this.env);
		const now = this.clock();
		const taken: Result<object> =
			rate === "counts" ? this.#meter.take(quotas, now) : { ok: true };
		const result = taken.ok ? act(this.#identity, key.keyId) : taken;
		return { ...result, limits: this.#meter.limits(quotas, now) };
	}
}
