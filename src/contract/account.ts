/**
 * What the Account receives and returns over RPC. Only Workers, Jobs and Endpoints call it.
 *
 * Runs in the Worker and in the objects: contract/ has the calls between them.
 */

import type { Result } from "../errors.ts";
import type { Bill, PricePart } from "../pricing/bill.ts";
import type { Prices } from "../pricing/prices.ts";
import type { Quote } from "../pricing/quote.ts";
import type { Scope } from "../scopes.ts";
import type { EventType } from "./event-type.ts";

/** Who makes a call and what it needs, as the Worker saw it. */
export interface Credential {
	/** SHA-256 of the key's secret, hex, because the secret never leaves the Worker. */
	secretHash: string;
	/** What the route needs the key to have. */
	scope: Scope;
	/** The calling page's origin; null where no page calls. */
	origin: string | null;
	/** The caller's IP address; null where the platform does not tell it. */
	ip: string | null;
}

/**
 * The resources that a call can access. A key that is bound to pages is public, so it accesses only
 * what the key with this id created, and nothing else exists for it. Null is all of the account.
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

/** An account's limits and what is left of them, for the `RateLimit` headers. */
export interface Limits {
	/** `reset`: seconds during which at least `remaining` requests, and no more, are guaranteed. */
	requests: { quota: number; remaining: number; reset: number };
	/** Tokens that jobs read and write; `reset` as above. */
	tokens: { quota: number; remaining: number; reset: number };
	/** Jobs that have not settled. */
	jobs: { quota: number; remaining: number };
}

/** The result of a caller's call; with the limits, once the key is authenticated. */
export type CallerResult<T extends object> = Result<T> & { limits?: Limits };

/** An image as the caller sent it; a repeated request is compared by it. */
export interface SentImage {
	upload: string;
	/** Over the bytes as sent, hex. */
	sha256: string;
	/** SHA-256 of the URL that the edge fetched it from, hex; null where it was not fetched. */
	url: string | null;
}

/** The caller's name for a job: its id, or the SHA-256 of an idempotency key, hex; or neither. */
export interface JobName {
	jobId: string | null;
	idempotencyKey: string | null;
}

/** An upload that a request for a job names. */
export interface NamedUpload {
	upload: string;
	/** The request's field, for errors: `images[0].upload`. */
	field: string;
}

/** What a new job may cost, in micro-USD, and how much it may read and write. */
export interface PriceRange {
	/** Held until the job settles: the most that it costs. */
	maxPrice: number;
	/** What its shortest prompt and one token cost; more than `max_price` where that is too low. */
	leastPrice: number;
	/** The most tokens of prompt and answer together: they count against the limit of a minute. */
	mostTokens: number;
}

/** What the Account needs of the quote that a request presents: the Worker checks the rest. */
export type PresentedQuote = Pick<Quote, "id" | "expiresAt">;

/**
 * A request for a job, before the Worker reads and stores its inline images or reads the
 * conversation that the job continues.
 */
export interface Preparation extends JobName {
	credential: Credential;
	/** As in `Admission`. */
	repeats: string | null;
	/** Without the conversation that the job continues. Null for a quote, which holds nothing. */
	price: PriceRange | null;
	quote: PresentedQuote | null;
	uploads: NamedUpload[];
	/**
	 * The job that this one continues. `prices` has `price` for each model where this job takes over
	 * that job's model.
	 */
	previous: { job: string; prices: Record<string, PriceRange> | null } | null;
	hasWebhook: boolean;
}

export type Prepared = CallerResult<{
	/**
	 * The job that this request names or repeats, where it exists: no image is stored for it again.
	 */
	jobId: string | null;
	/** The model of the job that this one continues; null without one, and where this job exists. */
	previousModel: string | null;
	/** The uploads that the request names, and all images of the job where it exists. */
	images: SentImage[];
}>;

/** An image that came inline with a job and belongs to it, stored as a pending upload. */
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

/** An image of a request for a job. */
export interface JobImage {
	/** The request's field, for errors: `images[0].upload`. */
	field: string;
	/** Null where the job exists, so that the image was not stored again. */
	upload: string | null;
	/** Over the bytes as sent, hex; null for an upload, which the Account knows. */
	sha256: string | null;
}

export interface Admission extends PriceRange {
	credential: Credential;
	/** The job's id, unless its idempotency key names another job. */
	jobId: string;
	/** SHA-256 of the caller's key, hex. */
	idempotencyKey: string | null;
	/** Identifies a call without a name for its job: a hash of key, route and body. */
	callHash: string | null;
	/** The same hash, where the caller marks this call as a repeat. */
	repeats: string | null;
	/** Whether `prepare` has counted this call against the rate limit. */
	isPrepared: boolean;
	/** SHA-256 of the request as canonical JSON, without its images. */
	requestHash: string;
	model: string;
	/** The model's prices now, or those of the quote; the job keeps them. */
	prices: Prices;
	quote: PresentedQuote | null;
	/** Which task the job does; null for a question of the caller's own. */
	task: string | null;
	/** Seconds from its end after which the job is deleted. */
	expiresIn: number;
	/** In the prompt's order. */
	images: JobImage[];
	/** Those of `images` that came inline with this request. */
	inline: InlineImage[];
	/** The job that this one continues; that job's images come first. */
	previousJob: string | null;
	/** The job's own webhook, beside the account's. */
	webhook: JobHook | null;
}

export type Admitted = CallerResult<{
	/** `same` for a repeat. */
	result: "new" | "same";
	jobId: string;
	// A repeat gets the values of the first admission.
	model: string;
	/** Null for a job that was admitted before prices went by token. */
	prices: Prices | null;
	maxPrice: number;
	images: ImageRef[];
	/** Separates tenants in the engine's prefix cache: HMAC(the account's cache secret, "prefix"). */
	cacheSalt: string;
	/** RFC 3339. */
	createdAt: string;
}>;

/** How a job ended, as the Job reports it to the Account. */
export interface Outcome extends Bill {
	jobId: string;
	status: "succeeded" | "failed" | "canceled" | "expired";
}

/** A job's settlement; a repeat returns the first one. */
export interface Settlement {
	/** Micro-USD debited; 0 for a job that failed, expired or had shown no token. */
	price: number;
	/** Micro-USD that the account has available afterwards. */
	balance: number;
	/** RFC 3339. */
	settledAt: string;
}

/** What a Job returns when the Account asks about an old hold. */
export type Resolution =
	| { status: "void" }
	| { status: "running"; until: number }
	| { status: "finished"; outcome: Outcome };

/** A row of the account's job index. */
export interface JobIndexRow {
	id: string;
	model: string;
	/**
	 * `accepted` until the job is settled, then how it ended. `expired` also where the job was
	 * admitted and never started.
	 */
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
	/** RFC 3339; null where operators have not suspended it. */
	suspendedAt: string | null;
	/** RFC 3339; null unless an audit found its ledger wrong. */
	frozenAt: string | null;
}

/** What the audit of an account's ledger found. */
export interface AuditView {
	/** The last entry that is right, with all before it. */
	seq: number;
	/** When that was the newest, or something wrong was found; milliseconds since 1970. */
	at: number | null;
	/** What is wrong. */
	mismatch: string | null;
}

/** The account as operators see it. */
export interface AuditedAccount extends AccountView {
	/** RFC 3339; null unless its owner closed it: only its ledger is left. */
	closedAt: string | null;
	audit: AuditView;
}

export type WebhookScope = "account" | "job";

export interface WebhookView {
	id: string;
	scope: WebhookScope;
	url: string;
	/** Empty with scope `job`, because each job names its own. */
	events: EventType[];
	description: string;
	status: "enabled" | "disabled";
	reason: "gone" | "no_success" | null;
	/** Milliseconds since 1970. */
	createdAt: number;
	/**
	 * The API's origin in the call that created the webhook; `urls` in its messages begin with it.
	 */
	origin: string;
}

/** A job's own webhook, as its request names it. */
export interface JobHook {
	id: string;
	url: string;
	events: EventType[];
	origin: string;
}

/** A page of the feed, as an Endpoint reads it. */
export interface FeedPage {
	/** Null where the webhook was deleted. */
	webhook: WebhookView | null;
	/** The account's secrets, newest first; null where the Endpoint signs with its own. */
	secrets: string[] | null;
	events: FeedEvent[];
	/** Sequence number of the last event that was read; it may not be in `events`. */
	upTo: number;
	lastSeq: number;
}

/**
 * An event that an Endpoint adds to the feed. `n` counts 1, 2, 3, …, so that a repeat adds none.
 */
export interface Report {
	n: number;
	fact: Extract<Fact, { type: `webhook.${string}` }>;
}

/** A job at the time of the event. */
export type JobFact = JobIndexRow & {
	finishedAt: string | null;
	/** What `price` consists of, in the event of the job's end. Older events have none. */
	priceParts?: PricePart[];
};

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
	/** The job's own webhook, where it subscribes to this event. */
	webhook: string | null;
};

/** An upload as its caller declares it. */
export interface UploadDraft {
	id: string;
	/** The declared type, until inspection finds the type of the bytes. */
	contentType: string;
	bytes: number;
	/** Over the bytes as sent, hex. */
	sha256: string;
	/**
	 * How the bytes arrive: `put` to a presigned URL, as the `body` of this call, or `inline` with a
	 * job.
	 */
	way: "put" | "body" | "inline";
}

/** The stored image of an upload. */
export interface StoredImage {
	/** The type of the bytes; left out where the draft has it already. */
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

/** A page of the list of uploads. */
export interface UploadPage {
	/**
	 * The page begins after this upload, which may have been deleted; null begins with the first one.
	 */
	after: string | null;
	limit: number;
	order: "newest" | "oldest";
}
