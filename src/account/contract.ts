/** What the Account answers over RPC, and to whom. The Worker and the Job are its only callers. */
import type { Result } from "../errors.ts";

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

export interface Admission {
	/** SHA-256 of the key's secret, hex. The secret itself never leaves the Worker. */
	secretHash: string;
	jobId: string;
	/** SHA-256 over canonical JSON of what the caller sent, images replaced by their sha256. */
	bodyHash: string;
	model: string;
	/** Micro-USD held until the job settles. */
	maxPrice: number;
	/** Upload ids, in the prompt's order. */
	images: string[];
	/** Field of the request for each image, for errors: `images[0].upload`. */
	fields: string[];
}

export type Admitted = Result<{
	answer: "new" | "same";
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
}

/** The one settlement of a job, the same on every repeat. */
export interface Settlement {
	/** Micro-USD debited; 0 unless the job succeeded. */
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
}
