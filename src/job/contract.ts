/** What a Job is given, what it logs and what it shows. */
import type { ImageRef } from "../account/contract.ts";
import type { Result } from "../errors.ts";

export type JobStatus =
	| "queued"
	| "provisioning"
	| "running"
	| "succeeded"
	| "failed"
	| "canceled"
	| "expired";

export interface Sampling {
	max_tokens: number;
	temperature: number;
	top_p: number;
	repetition_penalty: number;
	seed: number;
	stop: string[];
}

/** All a Job needs to run, written with its claim. */
export interface JobSpec {
	account: string;
	id: string;
	model: string;
	/** What the user asks, rendered from `prompt` or `task`. */
	prompt: string;
	images: ImageRef[];
	sampling: Sampling;
	metadata: Record<string, string>;
	cacheSalt: string;
	/** RFC 3339. */
	createdAt: string;
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
	lastSeq: number;
	/** Over the UTF-8 bytes of `text`, hex. */
	sha256: string;
}

export type Started = Result<{ view: JobView }>;
