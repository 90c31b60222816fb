/**
 * The Account, one object per account: its keys, its money, its index of jobs, its uploads, its
 * event feed and webhooks. This file has the calls that it takes, owner-calls.ts those about money
 * and keys, operator-calls.ts those of operators; what it decides and writes is in the files beside
 * them, by subject, as functions that run inside its transactions.
 */
import { ulid } from "ulid";
import type {
	Admission,
	Admitted,
	CallerResult,
	Credential,
	FeedPage,
	JobIndexRow,
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
import { failed } from "../errors.ts";
import { logLine } from "../log.ts";
import { withCacheIds } from "./cache-ids.ts";
import { eraseNow } from "./due-tasks.ts";
import { type EventPage, readEvents } from "./feed.ts";
import { pageJobs } from "./jobs.ts";
import { checkScope } from "./key-rules.ts";
import { admit, checkErasable, lookup, prepare, settle } from "./lifecycle.ts";
import { OwnerCalls } from "./owner-calls.ts";
import {
	createUploads,
	deleteUpload,
	discardUploads,
	finalizeUploads,
	getUpload,
	pageUploads,
} from "./uploads.ts";
import { usedOf } from "./usage-rows.ts";
import {
	accountSecrets,
	changeWebhook,
	createWebhook,
	deleteWebhook,
	findRedelivery,
	findWebhook,
	listWebhooks,
	type Redelivery,
	readFeedPage,
	recordReports,
	rotateAccountSecret,
} from "./webhooks.ts";

export class Account extends OwnerCalls {
	// For callers. Each call carries its key, so that one RPC authenticates and answers: see
	// `Access`.

	async authenticate(
		credential: Credential,
	): Promise<CallerResult<{ keyId: string }>> {
		return this.core.asCaller(credential, ({ keyId }) => ({
			ok: true,
			keyId,
		}));
	}

	/** See `Preparation`. */
	async prepare(request: Preparation): Promise<Prepared> {
		return this.core.asCaller(request.credential, (call) => {
			const { scopes, onlyMadeBy } = call;
			// Whoever goes on from a job can have the model say what was said in it.
			const reads = request.previous
				? checkScope({ scopes }, "jobs:read", "previous_job")
				: ({ ok: true } as const);
			return reads.ok
				? prepare(
						this.core.sql,
						onlyMadeBy,
						request,
						this.core.room(call),
						this.clock(),
					)
				: reads;
		});
	}

	/** Admits a job in one transaction: see `admit`. A refusal leaves no row. */
	async admit(admission: Admission): Promise<Admitted> {
		const result = this.core.asCaller(
			admission.credential,
			(call) => {
				const room = this.core.room(call);
				const admitted = this.core.writeOrRollBack((sql, now) =>
					admit(sql, call.onlyMadeBy, admission, room, now),
				);
				if (admitted.ok && admitted.result === "new")
					this.core.takeTokens(admitted.jobId, admission.mostTokens);
				return admitted;
			},
			admission.isPrepared ? "follows" : "counts",
		);
		this.core.checkBalance();
		if (!result.ok) return result;
		return withCacheIds(this.core.identity.cache_secret, result);
	}

	async lookup(
		credential: Credential,
		jobId: string,
	): Promise<CallerResult<{ job: JobIndexRow }>> {
		return this.core.asCaller(credential, ({ onlyMadeBy }) =>
			lookup(this.core.sql, onlyMadeBy, jobId),
		);
	}

	/** The index, newest first, without jobs that were deleted or expired. */
	async jobs(
		credential: Credential,
		page: { cursor: string | null; limit: number },
	): Promise<CallerResult<{ jobs: JobIndexRow[]; nextCursor: string | null }>> {
		return this.core.asCaller(credential, ({ onlyMadeBy }) =>
			pageJobs(this.core.sql, onlyMadeBy, page.cursor, page.limit),
		);
	}

	/** Erases a job that has ended, whatever dies meanwhile. Repeating it changes nothing. */
	async eraseJob(
		credential: Credential,
		jobId: string,
	): Promise<CallerResult<object>> {
		const result = this.core.asCaller(credential, ({ onlyMadeBy }) =>
			checkErasable(this.core.sql, onlyMadeBy, jobId),
		);
		if (!result.ok) return result;
		const erased = await eraseNow(this.core.taskContext(), jobId);
		return erased === "erased"
			? result
			: { ...result, ...failed({ code: "job_not_finished" }) };
	}

	// Uploads. Several at once, since a job brings its inline images together.

	/** Makes the rows of images that are about to be stored in the bucket. */
	async createUploads(
		credential: Credential,
		drafts: UploadDraft[],
	): Promise<CallerResult<{ uploads: UploadView[] }>> {
		const inline = drafts.every(({ way }) => way === "inline");
		return this.core.asCaller(
			credential,
			({ identity: { id }, onlyMadeBy }) => ({
				ok: true,
				uploads: this.core.write((sql, now) =>
					createUploads(sql, onlyMadeBy, id, drafts, now),
				),
			}),
			inline ? "follows" : "counts",
		);
	}

	/** Makes uploads ready whose objects are stored. Repeating it changes nothing. */
	async finalizeUploads(
		credential: Credential,
		stored: ({ id: string } & StoredImage)[],
	): Promise<CallerResult<{ uploads: UploadView[] }>> {
		return this.core.asCaller(
			credential,
			({ onlyMadeBy }) =>
				this.core.writeOrRollBack((sql, now) => ({
					uploads: finalizeUploads(sql, onlyMadeBy, stored, now),
				})),
			"follows",
		);
	}

	/** Deletes pending uploads that no job needs. One that is ready, or a job's, stays. */
	async discardUploads(
		credential: Credential,
		ids: string[],
	): Promise<CallerResult<object>> {
		return this.core.asCaller(
			credential,
			({ onlyMadeBy }) =>
				this.core.write((sql, now) =>
					discardUploads(sql, onlyMadeBy, ids, now),
				),
			"follows",
		);
	}

	async upload(
		credential: Credential,
		id: string,
	): Promise<CallerResult<{ upload: UploadView }>> {
		return this.core.asCaller(credential, ({ onlyMadeBy }) =>
			getUpload(this.core.sql, onlyMadeBy, id),
		);
	}

	/** The images that were uploaded by themselves, not with a job. */
	async uploads(
		credential: Credential,
		page: UploadPage,
	): Promise<CallerResult<{ uploads: UploadView[]; more: boolean }>> {
		return this.core.asCaller(credential, ({ onlyMadeBy }) => ({
			ok: true,
			...pageUploads(this.core.sql, onlyMadeBy, page),
		}));
	}

	/** Deletes an upload. Its object stays until the last job that holds it ends. */
	async deleteUpload(
		credential: Credential,
		id: string,
	): Promise<CallerResult<{ id: string }>> {
		return this.core.asCaller(credential, ({ onlyMadeBy }) =>
			this.core.write((sql, now) => deleteUpload(sql, onlyMadeBy, id, now)),
		);
	}

	// The event feed and its webhooks.

	/** A page of the feed. A part of the account would have gaps in its numbers. */
	async events(
		credential: Credential,
		from: { after: number | null; field: string },
		limit: number,
		types: EventType[] | null,
	): Promise<CallerResult<EventPage>> {
		return this.core.asOwner(credential, () =>
			readEvents(this.core.sql, from, limit, types),
		);
	}

	/** The socket of a reader of the feed, which `events` has let in: see `Readers.accept`. */
	override async fetch(request: Request): Promise<Response> {
		return (
			this.core.feed?.accept(request) ?? new Response(null, { status: 404 })
		);
	}

	override webSocketMessage(socket: WebSocket, message: unknown): void {
		this.core.feed?.onMessage(socket, message);
	}

	override webSocketClose(socket: WebSocket): void {
		this.core.feed?.remove(socket);
	}

	override webSocketError(socket: WebSocket): void {
		this.core.feed?.remove(socket);
	}

	async createWebhook(
		credential: Credential,
		hook: Pick<WebhookView, "url" | "events" | "description" | "origin">,
	): Promise<CallerResult<{ webhook: WebhookView }>> {
		const id = `wh_${ulid(this.clock())}`;
		return this.core.asOwner(credential, () =>
			this.core.write((sql, now) => createWebhook(sql, { id, ...hook }, now)),
		);
	}

	async webhooks(
		credential: Credential,
	): Promise<CallerResult<{ webhooks: WebhookView[] }>> {
		return this.core.asOwner(credential, () => ({
			ok: true,
			webhooks: listWebhooks(this.core.sql),
		}));
	}

	async webhook(
		credential: Credential,
		id: string,
	): Promise<CallerResult<{ webhook: WebhookView }>> {
		return this.core.asOwner(credential, () => findWebhook(this.core.sql, id));
	}

	async changeWebhook(
		credential: Credential,
		id: string,
		change: Parameters<typeof changeWebhook>[2],
	): Promise<CallerResult<{ webhook: WebhookView }>> {
		return this.core.asOwner(credential, () =>
			this.core.write((sql, now) => changeWebhook(sql, id, change, now)),
		);
	}

	async deleteWebhook(
		credential: Credential,
		id: string,
	): Promise<CallerResult<{ webhook: WebhookView }>> {
		return this.core.asOwner(credential, () =>
			this.core.write((sql, now) => deleteWebhook(sql, id, now)),
		);
	}

	/** What is to be delivered once more: one event, or all events after another one. */
	async redelivery(
		credential: Credential,
		id: string,
		what: { event: number | null } | { after: number },
	): Promise<CallerResult<Redelivery>> {
		return this.core.asOwner(credential, () =>
			findRedelivery(this.core.sql, id, what),
		);
	}

	/** The secret that signs what jobs' own webhooks get. */
	async webhookSecret(
		credential: Credential,
	): Promise<CallerResult<{ secret: string }>> {
		return this.core.asOwner(credential, () => {
			const [secret] = this.core.write((sql, now) => accountSecrets(sql, now));
			return { ok: true, secret: secret as string };
		});
	}

	async rotateWebhookSecret(
		credential: Credential,
	): Promise<CallerResult<{ secret: string }>> {
		return this.core.asOwner(credential, () => ({
			ok: true,
			secret: this.core.write((sql, now) => rotateAccountSecret(sql, now)),
		}));
	}

	// For the Endpoint.

	/** What a webhook has to deliver: see `readFeedPage`. */
	async readFor(id: string, after: number | null): Promise<FeedPage> {
		return this.core.write((sql, now) => readFeedPage(sql, id, after, now));
	}

	/** What became of a webhook, for the feed. */
	async report(id: string, reports: Report[]): Promise<void> {
		this.core.write((sql, now) => recordReports(sql, id, reports, now));
	}

	// For the Job.

	/** Debits or releases what a job holds: see `settle`. */
	async settle(outcome: Outcome): Promise<Settlement | null> {
		const settlement = this.core.exists
			? this.core.write((sql, now) => settle(sql, outcome, false, now))
			: null;
		if (settlement) this.core.checkBalance();
		else logLine("settle_unknown", { job: outcome.jobId });
		const { prompt_tokens, output_tokens } = usedOf(outcome);
		this.core.returnTokens(outcome.jobId, prompt_tokens + output_tokens);
		return settlement;
	}

	override async alarm(): Promise<void> {
		await this.core.onAlarm();
	}
}
