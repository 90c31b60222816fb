/** What a Job receives, what it logs, and what it returns over RPC. */

import type { Result } from "../errors.ts";
import type { PricePart } from "../pricing/bill.ts";
import type { Prices } from "../pricing/prices.ts";
import type { ImageRef } from "./account.ts";
import type { QueuePlace } from "./pool.ts";
import type { Sampling } from "./sampling.ts";

export const JOB_STATUSES = [
	"queued",
	"provisioning",
	"running",
	"succeeded",
	"failed",
	"canceled",
	"expired",
] as const;
export type JobStatus = (typeof JOB_STATUSES)[number];

/** Why an answer ended: by itself, at `max_tokens` or the model's context, or at `max_price`. */
export const FINISH_REASONS = ["stop", "length", "budget"] as const;
export type FinishReason = (typeof FINISH_REASONS)[number];

/** All that a Job needs to run, written with its claim. */
export interface JobSpec {
	account: string;
	id: string;
	model: string;
	/** The whole conversation, the question last; the n-th image part stands for `images[n]`. */
	messages: Message[];
	/**
	 * The question that the job asks over the answer to `messages`, which is a description of the
	 * images. Null where the answer to `messages` is the job's.
	 */
	followUp: string | null;
	images: ImageRef[];
	sampling: Sampling;
	metadata: Record<string, string>;
	cacheSalt: string;
	/** RFC 3339. */
	createdAt: string;
	/** Under which the job was admitted. */
	prices: Prices;
	/** Micro-USD that the Account holds for the job: the most that it may cost. */
	maxPrice: number;
	/** The most tokens that a prompt of the job has, by a count that needs no tokenizer. */
	mostPromptTokens: number;
	/** Seconds from its end after which the job is deleted. */
	expiresIn: number;
	/** Whether the job is canceled when no reader comes back in time, see `abandonedAt`. */
	onDisconnect: "continue" | "cancel";
	// Milliseconds since 1970, or null for never.
	/** If the job has not started by then, it becomes `expired`, at no charge. */
	startBy: number | null;
	/** If the job has not ended by then, it becomes `expired`, at no charge. */
	endBy: number | null;
	/** If the job has not ended by then, it is canceled, as by a call. */
	cancelAt: number | null;
	/** W3C `traceparent` of the request that created it. */
	trace: string | null;
}

/** An event of a log as readers see it: the `id`, `event` and `data` of a server-sent event. */
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
	/** What the model saw, so far, where it describes the images before it answers; else null. */
	description: string | null;
	/** The answer's text so far. */
	text: string;
	finishReason: FinishReason | null;
	images: string[];
	promptTokens: number | null;
	/** Those of the description included. */
	outputTokens: number;
	/** Micro-USD; null until settled. */
	price: number | null;
	/** What `price` consists of; empty where nothing is paid, null until settled. */
	priceParts: PricePart[] | null;
	/** Of the table that the job was admitted under. */
	priceVersion: string;
	error: { code: string; message: string; field?: string } | null;
	metadata: Record<string, string>;
	/** The place in the queue while the job waits for a slot; null where the Pool does not answer. */
	queue: QueuePlace | null;
	lastSeq: number;
	/** SHA-256 of the UTF-8 bytes of `text`, hex. */
	sha256: string;
}

/** A job's conversation, for a job that continues it. */
export interface Transcript {
	messages: Message[];
	/** The answer's text, also of a canceled job. */
	answer: string;
}

/** What a receipt says of a job that has ended, beside its view. */
export interface RunFacts {
	account: string;
	/** What the model was asked. */
	request: RunRequest;
	/** Of the weights that the attempts ran on, each once, in that order. */
	digests: string[];
	attempts: number;
}

/** All that decides a job's answer but the weights. */
export interface RunRequest {
	model: string;
	messages: Message[];
	followUp: string | null;
	/** SHA-256 of each image as the model saw it, hex. */
	images: string[];
	sampling: Sampling;
}

export type Started = Result<{ view: JobView }>;

/** The result of erasing a job: one that is still `running` is not erased. */
export type Erased = "erased" | "running";

export interface Message {
	role: "system" | "user" | "assistant";
	content: ({ type: "image" } | { type: "text"; text: string })[];
}
