/** The data of each server-sent event of a job. */
import { z } from "@hono/zod-openapi";
import { Eta, JobStatus } from "./job.ts";

/** `job.<state>`, at each change of state. */
export const StateEvent = z.object({
	id: z.string(),
	status: JobStatus,
	/** On `job.queued` and `job.provisioning`, once they are known: 1 is next. */
	position: z.int().optional(),
	eta: Eta.optional(),
	/** On `job.failed`. */
	error: z
		.object({
			code: z.string(),
			message: z.string(),
			field: z.string().optional(),
		})
		.optional(),
	/** On terminal states: micro-USD debited. */
	price: z.int().optional(),
	/** On `job.succeeded`. */
	finish_reason: z.enum(["stop", "length"]).optional(),
});

/** `job.retrying`: another attempt follows. */
export const RetryingEvent = z.object({ attempt: z.int(), reason: z.string() });

/** `token`: the next piece of the answer. */
export const TokenEvent = z.object({ text: z.string() });

/** `usage`: what the job used, before the terminal event. */
export const UsageEvent = z.object({
	images: z.int(),
	prompt_tokens: z.int().nullable(),
	output_tokens: z.int(),
});

/** `done`: the log is complete; a stream that ends without it broke. */
export const DoneEvent = z.object({
	last_seq: z.int(),
	/** Output tokens in the log. */
	tokens: z.int(),
	/** UTF-8 bytes of all token texts joined. */
	bytes: z.int(),
	/** SHA-256 over those bytes, hex. */
	sha256: z.string(),
});
