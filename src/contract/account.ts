/** What the Account answers over RPC, and to whom. The Worker and the Job are its only callers. */

import type { Result } from "../errors.ts";
import type { EventType } from "./event-type.ts";

/**
 * What a call shows of its key: the SHA-256 of its secret, hex (the secret itself never leaves the Worker); and, where a page
 * calls, the page's origin, by which a key may be bound.
 */
export type Credential = string | { secretHash: string; origin: string };

/**
 * Whose things a call sees and touches: those that the key with this id made, where it is bound to pages and so is public;
 * null is all of the account. What others made is for it as if it were not there.
 */
export type MadeBy = string | null;

/** A finalized image as a job needs it. */
export interface ImageRef {
	upload: string;
	/** Object key in the bucket. */
	key: string;
	/** SHA-256 of the stored bytes, hex. */
	sha256: string;
	contentType: string;
	bytes: number;
	width: number;
	height: number;
	/** HMAC(the account's cache secret, sha256): the tenant's half of the encoder cache's key. */
	cacheId: string;
}

/** How much of its limits an account has left, for the `RateLimit` fields. */
export interface Limits {
	/** `reset`: seconds for which no more than `remaining` can be counted on. */
	requests: { quota: number; remaining: number; reset: number };
	/** Jobs that have not settled. */
	jobs: { quota: number; remaining: number };
}

/** What a caller's call answers; with limits as soon as the key is known. */
export type Answer<T extends object> = Result<T> & { limits?: Limits };

/** An image as the caller sent it: what the body hash is made of. */
export interface SentImage {
	upload: string;
	/** Over the bytes as sent, hex. */
	sha256: string;
	/** SHA-256 of the URL that it was fetched from, hex; null where it was not fetched. */
	url: string | null;
}

/** An upload that a request for a job names. */
export interface NamedUpload {
	upload: string;
	/** The request's field, for errors: `images[0].upload`. */
	field: string;
}

/**
 * What the Worker asks before it reads and stores images that came along, or reads the conversation
 * that the job continues.
 */
export interface Preparation {
	credential: Credential;
	/** The job's id or its idempotency key (SHA-256, hex), where the caller names the job. */
	jobId: string | null;
	idempotencyKey: string | null;
	/** As in `Admission`. */
	repeats: string | null;
	/** Micro-USD. */
	maxPrice: number;
	uploads: NamedUpload[];
	/** The job that this one continues. `prices` has the price of each model, where that job's model is used. */
	previous: { job: string; prices: Record<string, number> | null } | null;
	hasWebhook: boolean;
}

export type Prepared = Answer<{
	/** The job that has this name already, or whose call is repeated: nothing is stored for it again. */
	jobId: string | null;
	/** The model of the job that this one continues; null without one, and for a known name. */
	previousModel: string | null;
	/** The named uploads, and all images of a job that has this name. */
	images: SentImage[];
}>;

/** An image that came with a job and belongs to it, stored under a pending upload. */
export interface InlineImage {
	id: string;
	/** Over the bytes as stored, hex. */
	sha256: string;
	bytes: number;
	width: number;
	height: number;
	/** As in `SentImage`. */
	url: string | null;
}

/** An image of a request for a job, in the prompt's order. */
export interface JobImage {
	/** The request's field, for errors: `images[0].upload`. */
	field: string;
	/** Null where the job's name is known, so that nothing was stored again. */
	upload: string | null;
	/** Over the bytes as sent, hex; null for an upload, which the Account knows. */
	sha256: string | null;
}

export interface Admission {
	credential: Credential;
	/** The job's id, unless its idempotency key names another job. */
	jobId: string;
	/** SHA-256 of the caller's key, hex. */
	idempotencyKey: string | null;
	/** What names this call for a repeat, where the caller gives the job no name: a hash of key, route and body. */
	call: string | null;
	/** The same, where the caller says that this call is a repeat. */
	repeats: string | null;
	/** Whether `prepare` counted this call against the rate. */
	isPrepared: boolean;
	/** SHA-256 over canonical JSON of what the caller sent, without its images. */
	requestHash: string;
	model: string;
	/** Micro-USD held until the job settles. */
	maxPrice: number;
	/** Seconds from its end for which the job is kept. */
	expiresIn: number;
	images: JobImage[];
	/** Those of `images` that came with this request. */
	inline: InlineImage[];
	/** The job that this one continues: its images come first. */
	previousJob: string | null;
	/** The job's own webhook, beside the account's. */
	webhook: JobHook | null;
}

export type Admitted = Answer<{
	/** `same`: this is a repeat. */
	answer: "new" | "same";
	jobId: string;
	/** As first admitted, whatever is served and asked for it by now. */
	model: string;
	maxPrice: number;
	images: ImageRef[];
	/** Separates tenants in the engine's prefix cache: HMAC(the account's cache secret, "prefix"). */
	cacheSalt: string;
	/** RFC 3339. */
	createdAt: string;
}>;

/** How a job ended, as the Job reports it to the ledger. */
export interface Outcome {
	jobId: string;
	status: "succeeded" | "failed" | "canceled" | "expired";
	/** Tokens in the log. */
	outputTokens: number;
	/** Tokens that it might have had for the held price. */
	maxTokens: number;
}

/** The one settlement of a job, the same on every repeat. */
export interface Settlement {
	/** Micro-USD debited; 0 for a job that failed, expired or had shown nothing. */
	price: number;
	/** Micro-USD available to the account after it. */
	balance: number;
	/** RFC 3339. */
	settledAt: string;
}

/** What a Job answers when the Account asks after a hold. */
export type Resolution =
	| { answer: "void" }
	| { answer: "running"; until: number }
	| { answer: "finished"; outcome: Outcome };

/** A row of the account's job index. */
export interface JobIndexRow {
	id: string;
	model: string;
	/** `accepted` until settled, then how the job ended; `expired` also where it was admitted and never started. */
	status: "accepted" | Outcome["status"];
	createdAt: string;
	price: number | null;
}

/** The account as its owner and the operators see it. */
export interface AccountView {
	id: string;
	name: string;
	/** RFC 3339. */
	createdAt: string;
	/** Micro-USD. */
	available: number;
	/** Micro-USD held for jobs that have not settled. */
	held: number;
}

/** An API key without its secret. */
export interface KeyView {
	id: string;
	name: string;
	/** RFC 3339. */
	createdAt: string;
	revokedAt: string | null;
	/** The origins whose pages may call with it; null is any. */
	origins: string[] | null;
	/** Whether it is the key of the call that asks. */
	current: boolean;
}

export type WebhookScope = "account" | "job";

export interface WebhookView {
	id: string;
	scope: WebhookScope;
	url: string;
	/** Empty with scope `job`: each job says its own. */
	events: EventType[];
	description: string;
	status: "enabled" | "disabled";
	reason: "gone" | "no_success" | null;
	/** Milliseconds since 1970. */
	createdAt: number;
	/** Of this API, as the call that made it named it: what `urls` in its messages begin with. */
	origin: string;
}

/** Where a job wants to be told of itself. */
export interface JobHook {
	id: string;
	url: string;
	events: EventType[];
	origin: string;
}

/** What an Endpoint reads. */
export interface FeedPage {
	/** Null once it was deleted. */
	webhook: WebhookView | null;
	/** The account's, newest first, where it signs with those; else null. */
	secrets: string[] | null;
	events: FeedEvent[];
	/** How far was read. */
	upTo: number;
	lastSeq: number;
}

/** What an Endpoint has to say to the feed, numbered 1, 2, 3, … by it. */
export interface Report {
	n: number;
	fact: Extract<Fact, { type: `webhook.${string}` }>;
}

/** A job as it was then. */
export type JobFact = JobIndexRow & { finishedAt: string | null };

export type Fact =
	| { type: Exclude<EventType, `webhook.${string}`>; data: JobFact }
	| {
			type: "webhook.gave_up";
			data: {
				webhook: string;
				event: string;
				attempts: number;
				reason: string;
			};
	  }
	| {
			type: "webhook.disabled";
			data: { webhook: string; reason: "gone" | "no_success" };
	  };

export type FeedEvent = Fact & {
	seq: number;
	/** Milliseconds since 1970. */
	at: number;
	/** The job's own webhook, where it is to be told of this. */
	webhook: string | null;
};

/** What a caller declares before the bytes are known. */
export interface UploadDraft {
	id: string;
	/** What it is called; what it is, once its bytes are known. */
	contentType: string;
	bytes: number;
	/** Over the bytes as sent, hex. */
	sha256: string;
	/** The bytes are `put` by a presigned URL, are the `body` of this very call, or come `inline` with a job. */
	way: "put" | "body" | "inline";
}

/** What was stored for an upload, once its bytes were inspected. */
export interface StoredImage {
	/** By its bytes; left out where the draft knew them. */
	contentType?: string;
	/** Over the bytes as stored, hex. */
	sha256: string;
	bytes: number;
	width: number;
	height: number;
}

export interface UploadView extends Omit<UploadDraft, "way"> {
	status: "pending" | "ready";
	width: number | null;
	height: number | null;
	/** Milliseconds since the epoch. */
	createdAt: number;
}

/** Which part of a list is asked for. */
export interface UploadPage {
	/** The upload that it begins behind, which need not be there any more; null is the list's beginning. */
	after: string | null;
	limit: number;
	order: "newest" | "oldest";
}

export interface NewKey {
	name: string;
	secretHash: string;
	/** As browsers write them: `https://app.example.com`. Left out or null: any. */
	origins?: string[] | null;
}
