/** What a Job is given, what it logs and what it shows. */

import type { Result } from "../errors.ts";
import type { ImageRef } from "./account.ts";
import type { QueuePlace } from "./pool.ts";
import type { Sampling } from "./sampling.ts";

export type JobStatus =
	| "queued"
	| "provisioning"
	| "running"
	| "succeeded"
	| "failed"
	| "canceled"
	| "expired";

/** All a Job needs to run, written with its claim. */
export interface JobSpec {
	account: string;
	id: string;
	model: string;
	/** The whole conversation, up to what is asked; the n-th image part takes `images[n]`. */
	messages: Message[];
	images: ImageRef[];
	sampling: Sampling;
	metadata: Record<string, string>;
	cacheSalt: string;
	/** RFC 3339. */
	createdAt: string;
	/** Micro-USD held for it: the most it may cost. */
	maxPrice: number;
	/** Seconds from its end for which it is kept. */
	expiresIn: number;
	/** What happens when its last reader left: `cancel` waits a while for one to come back, see `abandonedAt`. */
	onDisconnect: "continue" | "cancel";
	// Milliseconds since 1970, or null for never.
	/** Where it has not started by then it is `expired`, free. */
	startBy: number | null;
	/** Where it has not ended by then it is `expired`, free. */
	endBy: number | null;
	/** Where it has not ended by then it is canceled, as by a call. */
	cancelAt: number | null;
	/** W3C `traceparent` of the request that created it. */
	trace: string | null;
}

/** An event of a job's log as readers see it: SSE `id`, `event` and `data`. */
export interface LogEvent {
	seq: number;
	type: string;
	/** JSON text. */
	data: string;
}

/** The job's public state; `schema/job.ts` is its wire form. */
export interface JobView {
	id: string;
	status: JobStatus;
	model: string;
	createdAt: string;
	startedAt: string | null;
	finishedAt: string | null;
	/** Text so far; `finish_reason` once it ended well. */
	text: string;
	finishReason: "stop" | "length" | null;
	images: string[];
	promptTokens: number | null;
	outputTokens: number;
	/** Micro-USD; null until settled. */
	price: number | null;
	error: { code: string; message: string; field?: string } | null;
	metadata: Record<string, string>;
	/** Where it stands while it waits for a slot; null otherwise, and where the Pool cannot say. */
	queue: QueuePlace | null;
	lastSeq: number;
	/** Over the UTF-8 bytes of `text`, hex. */
	sha256: string;
}

/** What was said, for a job that goes on from it. */
export interface Transcript {
	messages: Message[];
	/** The text, also of a job that was canceled. */
	answer: string;
}

export type Started = Result<{ view: JobView }>;

/** What erasing a job answers: a job that has not ended cannot be erased. Repeatable. */
export type Erased = "erased" | "running";

export interface Message {
	role: "system" | "user" | "assistant";
	content: ({ type: "image" } | { type: "text"; text: string })[];
}
