/**
 * One object per account: its keys, its money, its index of jobs, its uploads. What it decides and writes is in the files
 * beside this one, by subject; here are the calls that it takes.
 */
import { DurableObject } from "cloudflare:workers";
import { ulid } from "ulid";
import type {
	AccountView,
	Admission,
	Admitted,
	Answer,
	Credential,
	FeedEvent,
	FeedPage,
	JobIndexRow,
	KeyView,
	MadeBy,
	NewKey,
	Outcome,
	Preparation,
	Prepared,
	Report,
	Settlement,
	StoredImage,
	UploadDraft,
	UploadPage,
	UploadView,
	WebhookView,
} from "../contract/account.ts";
import type { EventType } from "../contract/event-type.ts";
import { Alarm } from "../durable/alarm.ts";
import { ObjectStorage, unwrapOrRollBack } from "../durable/storage.ts";
import { config } from "../env.ts";
import { failed, type Result } from "../errors.ts";
import { log } from "../log.ts";
import { Readers } from "../stream/readers.ts";
import { addCredit } from "./books.ts";
import { cacheSalt, withCacheIds } from "./cache.ts";
import { earliestDue, setDue } from "./due.ts";
import {
	eraseJob,
	RETRY_MS,
	runDueTasks,
	type TaskContext,
} from "./due-tasks.ts";
import {
	eventsAfter,
	feedLog,
	findEvent,
	lastSeq,
	startAfter,
} from "./feed.ts";
import {
	accountView,
	createIdentity,
	type Identity,
	identityOf,
} from "./identity.ts";
import { findJob, pageJobs } from "./jobs.ts";
import {
	addKey,
	type CallingKey,
	createKey,
	dropKey,
	keyOf,
	listKeys,
	revokeKey,
} from "./keys.ts";
import {
	admit,
	erasable,
	expiry,
	lookup,
	prepare,
	settle,
} from "./lifecycle.ts";
import { Meter } from "./meter.ts";
import { STEPS } from "./schema.ts";
import {
	createUpload,
	deleteUpload,
	discardUploads,
	finalizeUpload,
	getUpload,
	pageUploads,
} from "./uploads.ts";
import {
	accountSecrets,
	changeWebhook,
	createWebhook,
	deleteWebhook,
	findWebhook,
	listWebhooks,
	readFor,
	report,
	rotateAccountSecret,
} from "./webhooks.ts";

export class Account extends DurableObject<Env> {
	/** Milliseconds since the epoch; tests move it. */
	clock = (): number => Date.now();
	readonly #store: ObjectStorage;
	readonly #alarm: Alarm;
	readonly #sql: SqlStorage;
	readonly #meter: Meter;
	#identity: Identity | null;
	/** Of the feed. */
	#readers: Readers;

	constructor(ctx: DurableObjectState, env: Env) {
		super(ctx, env);
		this.#store = new ObjectStorage(ctx, {
			object: "account",
			steps: STEPS,
			// Each call decides from SQL, whose constraints make the last check of the money.
			resetOnFailure: false,
			afterWrite: () => {
				this.#arm();
				this.#publish();
			},
		});
		this.#alarm = new Alarm(ctx.storage, () => this.clock());
		this.#sql = this.#store.sql;
		this.#meter = new Meter(this.#sql);
		this.#identity = this.#store.exists ? identityOf(this.#sql) : null;
		const shown = this.#identity ? lastSeq(this.#sql) : 0;
		this.#readers = new Readers(ctx.getWebSockets(), shown);
		if (this.#identity)
			ctx.blockConcurrencyWhile(async () => {
				await this.#alarm.load();
				this.#arm();
			});
	}

	// For operators.

	/** Makes the account; repeating it changes nothing. */
	async create(account: {
		id: string;
		name: string;
	}): Promise<Result<{ account: AccountView }>> {
		this.#alarm.renew();
		this.#identity ??= this.#store.create(() =>
			createIdentity(this.#sql, account, this.clock()),
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
			this.#store.writeOrRollBack(() => {
				unwrapOrRollBack(addCredit(this.#sql, credit, this.clock()));
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
	// the rate; those that can only follow another one (`admit`, `finalizeUploads`, `discardUploads`) do not. What a caller
	// sees and touches is all of the account, or its key's own (`Own`); what is nobody's own begins with `#asOwner`.

	async authenticate(
		credential: Credential,
	): Promise<Answer<{ keyId: string }>> {
		return this.#asCaller(credential, (_, { keyId }) => ({ ok: true, keyId }));
	}

	async showTo(
		credential: Credential,
	): Promise<Answer<{ account: AccountView }>> {
		return this.#asOwner(credential, (identity) => ({
			ok: true,
			account: accountView(this.#sql, identity),
		}));
	}

	async keysOf(credential: Credential): Promise<Answer<{ keys: KeyView[] }>> {
		return this.#asOwner(credential, (_, { keyId }) => ({
			ok: true,
			keys: listKeys(this.#sql, keyId),
		}));
	}

	/** Makes a key as its owner, who may have only so many. */
	async addKey(
		credential: Credential,
		key: NewKey,
	): Promise<Answer<{ key: KeyView }>> {
		return this.#asOwner(credential, (_, { keyId }) =>
			this.#store.write(() => addKey(this.#sql, keyId, key, this.clock())),
		);
	}

	/** Revokes a key as its owner, who keeps one to go on with. */
	async dropKey(
		credential: Credential,
		id: string,
	): Promise<Answer<{ key: KeyView }>> {
		return this.#asOwner(credential, (_, { keyId }) =>
			this.#store.write(() => dropKey(this.#sql, keyId, id, this.clock())),
		);
	}

	/** See `Preparation`. */
	async prepare(request: Preparation): Promise<Prepared> {
		return this.#asCaller(request.credential, (_, { own }) =>
			prepare(this.#sql, own, request, this.#jobs(), this.clock()),
		);
	}

	/** Key, hold, index row and image holds in one transaction. Repeating it changes nothing; a refusal leaves no row. */
	async admit(admission: Admission): Promise<Admitted> {
		const answer = await this.#asCaller(
			admission.credential,
			(_, { own }) =>
				this.#store.writeOrRollBack(() =>
					admit(this.#sql, own, admission, this.#jobs(), this.clock()),
				),
			admission.isPrepared ? "follows" : "counts",
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
		credential: Credential,
		jobId: string,
	): Promise<Answer<{ job: JobIndexRow }>> {
		return this.#asCaller(credential, (_, { own }) =>
			lookup(this.#sql, own, jobId),
		);
	}

	/** The index, newest first, without what was deleted or expired. */
	async jobs(
		credential: Credential,
		page: { cursor: string | null; limit: number },
	): Promise<Answer<{ jobs: JobIndexRow[]; nextCursor: string | null }>> {
		return this.#asCaller(credential, (_, { own }) =>
			pageJobs(this.#sql, own, page.cursor, page.limit),
		);
	}

	/** Erases a job that has ended, once it is asked for whatever dies meanwhile. Repeating it changes nothing. */
	async eraseJob(
		credential: Credential,
		jobId: string,
	): Promise<Answer<object>> {
		const now = this.clock();
		const found = await this.#asCaller(credential, (_, { own }) =>
			erasable(this.#sql, own, jobId),
		);
		const job = found.ok && findJob(this.#sql, jobId);
		if (!job || job.gone) return found;
		const expires = (at: number) =>
			this.#store.write(() => setDue(this.#sql, `expire:${jobId}`, at));
		expires(now + RETRY_MS);
		if ((await eraseJob(this.#place(), jobId)) === "erased") return found;
		expires(expiry(job, now));
		return { ...found, ...failed({ code: "job_not_finished" }) };
	}

	// Uploads. Several at once, since a job brings its inline images together.

	/** Makes room for what is about to be sent: a row comes before its object. */
	async createUploads(
		credential: Credential,
		drafts: UploadDraft[],
	): Promise<Answer<{ uploads: UploadView[] }>> {
		const now = this.clock();
		const inline = drafts.every(({ way }) => way === "inline");
		return this.#asCaller(
			credential,
			({ id }, { own }) => ({
				ok: true,
				uploads: this.#store.write(() =>
					drafts.map((draft) => createUpload(this.#sql, own, id, draft, now)),
				),
			}),
			inline ? "follows" : "counts",
		);
	}

	/** The objects are stored. Repeating it changes nothing. */
	async finalizeUploads(
		credential: Credential,
		stored: ({ id: string } & StoredImage)[],
	): Promise<Answer<{ uploads: UploadView[] }>> {
		const now = this.clock();
		const finalize = (own: MadeBy, image: { id: string } & StoredImage) =>
			unwrapOrRollBack(finalizeUpload(this.#sql, own, image.id, image, now))
				.upload;
		return this.#asCaller(
			credential,
			(_, { own }) =>
				this.#store.writeOrRollBack(() => ({
					uploads: stored.map((image) => finalize(own, image)),
				})),
			"follows",
		);
	}

	/** What was created and came to nothing. An upload that is ready, or a job's, stays. */
	async discardUploads(
		credential: Credential,
		ids: string[],
	): Promise<Answer<object>> {
		return this.#asCaller(
			credential,
			(_, { own }) => {
				this.#store.write(() =>
					discardUploads(this.#sql, own, ids, this.clock()),
				);
				return { ok: true };
			},
			"follows",
		);
	}

	async upload(
		credential: Credential,
		id: string,
	): Promise<Answer<{ upload: UploadView }>> {
		return this.#asCaller(credential, (_, { own }) =>
			getUpload(this.#sql, own, id),
		);
	}

	/** What was uploaded by itself: images that came with a job are that job's. */
	async uploads(
		credential: Credential,
		page: UploadPage,
	): Promise<Answer<{ uploads: UploadView[]; more: boolean }>> {
		return this.#asCaller(credential, (_, { own }) => ({
			ok: true,
			...pageUploads(this.#sql, own, page),
		}));
	}

	/** An image that a job holds lives until the job ends. */
	async deleteUpload(
		credential: Credential,
		id: string,
	): Promise<Answer<{ id: string }>> {
		return this.#asCaller(credential, (_, { own }) =>
			this.#store.write(() => deleteUpload(this.#sql, own, id, this.clock())),
		);
	}

	// The event feed, and where it is sent.

	/**
	 * A page of the feed, for those who see all of the account: a part of it had gaps in its numbers.
	 * @param after null: from the oldest that is kept
	 * @param field of the request that `after` came from, for errors
	 * @param types null: all
	 */
	async events(
		credential: Credential,
		from: { after: number | null; field: string },
		limit: number,
		types: EventType[] | null,
	): Promise<
		Answer<{
			events: FeedEvent[];
			after: number;
			upTo: number;
			lastSeq: number;
		}>
	> {
		return this.#asOwner(credential, () => {
			const start = startAfter(this.#sql, from.after, from.field);
			if (!start.ok) return start;
			const { after } = start;
			const wanted = ({ type }: FeedEvent) => types?.includes(type) ?? true;
			const page = eventsAfter(this.#sql, after, limit, wanted);
			return { ok: true, after, ...page, lastSeq: lastSeq(this.#sql) };
		});
	}

	/** A socket that the feed flows into, for a reader that `events` has let in: see `Readers.accept`. */
	override async fetch(request: Request): Promise<Response> {
		this.#alarm.renew();
		if (!this.#identity) return new Response(null, { status: 404 });
		const feed = feedLog(this.#sql);
		// While nobody reads, nothing is shown to anybody: the first reader begins where the feed is now.
		if (!this.#readers.hasAny) this.#readers = new Readers([], feed.lastSeq);
		return this.#readers.accept(this.ctx, feed, false, request);
	}

	override webSocketMessage(socket: WebSocket, message: unknown): void {
		if (!this.#identity) return;
		this.#readers.onMessage(socket, message, feedLog(this.#sql));
		this.#publish();
	}

	override webSocketClose(socket: WebSocket): void {
		this.#readers.remove(socket);
	}

	override webSocketError(socket: WebSocket): void {
		this.#readers.remove(socket);
	}

	/** Shows what is new to those who read. Nobody waits for it: a storage that cannot sync resets the object by itself. */
	#publish(): void {
		if (!this.#identity || !this.#readers.hasAny) return;
		const feed = feedLog(this.#sql);
		this.#readers.publish(this.ctx.storage, feed).catch(() => {});
	}

	async createWebhook(
		credential: Credential,
		hook: Pick<WebhookView, "url" | "events" | "description" | "origin">,
	): Promise<Answer<{ webhook: WebhookView }>> {
		const now = this.clock();
		const id = `wh_${ulid(now)}`;
		return this.#asOwner(credential, () =>
			this.#store.write(() => createWebhook(this.#sql, { id, ...hook }, now)),
		);
	}

	async webhooks(
		credential: Credential,
	): Promise<Answer<{ webhooks: WebhookView[] }>> {
		return this.#asOwner(credential, () => ({
			ok: true,
			webhooks: listWebhooks(this.#sql),
		}));
	}

	async webhook(
		credential: Credential,
		id: string,
	): Promise<Answer<{ webhook: WebhookView }>> {
		return this.#asOwner(credential, () => findWebhook(this.#sql, id));
	}

	async changeWebhook(
		credential: Credential,
		id: string,
		change: Parameters<typeof changeWebhook>[2],
	): Promise<Answer<{ webhook: WebhookView }>> {
		return this.#asOwner(credential, () =>
			this.#store.write(() =>
				changeWebhook(this.#sql, id, change, this.clock()),
			),
		);
	}

	async deleteWebhook(
		credential: Credential,
		id: string,
	): Promise<Answer<{ webhook: WebhookView }>> {
		return this.#asOwner(credential, () =>
			this.#store.write(() => deleteWebhook(this.#sql, id, this.clock())),
		);
	}

	/** What there is to deliver once more: one event, by its number, or all after another one. */
	async redelivery(
		credential: Credential,
		id: string,
		what: { event: number | null } | { after: number },
	): Promise<
		Answer<{
			webhook: WebhookView;
			event: FeedEvent | null;
			after: number | null;
			lastSeq: number;
		}>
	> {
		return this.#asOwner(credential, () => {
			const found = findWebhook(this.#sql, id);
			if (!found.ok) return found;
			if (found.webhook.status === "disabled")
				return failed({ code: "webhook_disabled" });
			const known = { ...found, lastSeq: lastSeq(this.#sql) };
			if ("after" in what) {
				const start = startAfter(this.#sql, what.after, "after");
				return start.ok ? { ...known, event: null, after: start.after } : start;
			}
			const event =
				what.event === null ? null : findEvent(this.#sql, what.event);
			return event
				? { ...known, event, after: null }
				: failed({ code: "event_not_found", field: "event" });
		});
	}

	/** The secret that signs what jobs' own webhooks get. */
	async webhookSecret(
		credential: Credential,
	): Promise<Answer<{ secret: string }>> {
		return this.#asOwner(credential, () => {
			const [secret] = this.#store.write(() =>
				accountSecrets(this.#sql, this.clock()),
			);
			return { ok: true, secret: secret as string };
		});
	}

	async rotateWebhookSecret(
		credential: Credential,
	): Promise<Answer<{ secret: string }>> {
		return this.#asOwner(credential, () => ({
			ok: true,
			secret: this.#store.write(() =>
				rotateAccountSecret(this.#sql, this.clock()),
			),
		}));
	}

	// For the Endpoint.

	/** What a webhook has to deliver; see `readFor`. */
	async readFor(id: string, after: number | null): Promise<FeedPage> {
		this.#alarm.renew();
		if (!this.#identity) throw new Error("there is no such account");
		return this.#store.write(() => readFor(this.#sql, id, after, this.clock()));
	}

	/** How a webhook fares, for the feed. */
	async report(id: string, reports: Report[]): Promise<void> {
		this.#alarm.renew();
		if (!this.#identity) throw new Error("there is no such account");
		this.#store.write(() => report(this.#sql, id, reports, this.clock()));
	}

	// For the Job.

	/** The job's one debit or release, the same answer on every repeat; null where no such job was admitted here. */
	async settle(outcome: Outcome): Promise<Settlement | null> {
		this.#alarm.renew();
		const settlement = this.#identity
			? this.#store.write(() => settle(this.#sql, outcome, false, this.clock()))
			: null;
		if (!settlement) log("settle_unknown", { job: outcome.jobId });
		return settlement;
	}

	// What is due.

	override async alarm(): Promise<void> {
		this.#alarm.onFired();
		try {
			if (this.#identity) await runDueTasks(this.#place());
		} catch (error) {
			log("alarm_failed", { object: "account", cause: String(error) });
		} finally {
			this.#arm();
		}
	}

	/**
	 * Sets the alarm to the earliest due time. One that fires too early finds nothing due, which costs
	 * less than moving it at each settlement.
	 */
	#arm(): void {
		if (!this.#identity) return;
		const next = earliestDue(this.#sql);
		if (next !== null) this.#alarm.bringForward(next);
	}

	#place(): TaskContext {
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
		this.#alarm.renew();
		return this.#identity
			? act(this.#identity)
			: failed({ code: "account_not_found" });
	}

	/** What every caller's method begins with. A key that is out in pages has its own things, and works in pages alone. */
	async #asCaller<T extends object>(
		credential: Credential,
		act: (identity: Identity, key: CallingKey) => Result<T>,
		rate: "counts" | "follows" = "counts",
	): Promise<Answer<T>> {
		return this.#asKey(
			credential,
			(identity, key) =>
				key.pageless ? failed({ code: "origin_required" }) : act(identity, key),
			rate,
		);
	}

	/**
	 * As a caller who sees all of the account. A key that is out in pages does not; if it made another one, it would outlive
	 * its own revocation.
	 */
	async #asOwner<T extends object>(
		credential: Credential,
		act: (identity: Identity, key: CallingKey) => Result<T>,
	): Promise<Answer<T>> {
		return this.#asKey(
			credential,
			(identity, key) =>
				key.own === null ? act(identity, key) : failed({ code: "bound_key" }),
			"counts",
		);
	}

	/** Key, rate, and the limits that every answer tells. */
	async #asKey<T extends object>(
		credential: Credential,
		act: (identity: Identity, key: CallingKey) => Result<T>,
		rate: "counts" | "follows",
	): Promise<Answer<T>> {
		this.#alarm.renew();
		if (!this.#identity) return failed({ code: "invalid_key" });
		const key = keyOf(this.#sql, credential);
		if (!key.ok) return key;
		const quotas = config(this.env);
		const now = this.clock();
		const taken: Result<object> =
			rate === "counts" ? this.#meter.take(quotas, now) : { ok: true };
		const result = taken.ok ? act(this.#identity, key) : taken;
		return { ...result, limits: this.#meter.limits(quotas, now) };
	}
}
