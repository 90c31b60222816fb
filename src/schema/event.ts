/** The data of each server-sent event of a job. */
import { z } from "@hono/zod-openapi";
import { Eta } from "../contract/pool.ts";
import { sse } from "./event-stream.ts";
import { FinishReason, JobStatus } from "./job.ts";
import { PAID } from "./price.ts";

/** `job.<state>`, sent at each change of state. */
export const StateEvent = z
	.object({
		id: z.string(),
		status: JobStatus,
		/**
		 * On `job.queued` and `job.provisioning`, once the pool has estimated them. 1 is the next job
		 * to run.
		 */
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
		/** On terminal states: the micro-USD debited. */
		price: PAID.price.optional(),
		price_parts: PAID.price_parts.optional(),
		/** On `job.succeeded`. */
		finish_reason: FinishReason.optional(),
	})
	.openapi("StateEvent");

/** `job.retrying`: another attempt follows. */
export const RetryingEvent = z
	.object({ attempt: z.int(), reason: z.string() })
	.openapi("RetryingEvent");

/**
 * `description`: the next piece of what the model sees, before it does a `task`. Only models with
 * the capability `description` send it, and always before the first `token`.
 */
export const DescriptionEvent = z
	.object({ text: z.string() })
	.openapi("DescriptionEvent");

/** `token`: the next piece of the answer. */
export const TokenEvent = z.object({ text: z.string() }).openapi("TokenEvent");

/** `usage`: the tokens and images of the job. Comes before the terminal event. */
export const UsageEvent = z
	.object({
		images: z.int(),
		prompt_tokens: z.int().nullable(),
		output_tokens: z.int(),
	})
	.openapi("UsageEvent");

/** `done`: the log is complete. A stream that ends without it has been cut. */
export const DoneEvent = z
	.object({
		last_seq: z.int(),
		/** Output tokens in the log, those of the description included. */
		tokens: z.int(),
		/** UTF-8 bytes of all token texts joined. */
		bytes: z.int(),
		/** SHA-256 over those bytes, hex. */
		sha256: z.string(),
	})
	.openapi("DoneEvent");

const StateType = z.enum([
	"job.queued",
	"job.provisioning",
	"job.running",
	"job.succeeded",
	"job.failed",
	"job.canceled",
	"job.expired",
]);

const seq = z.int().openapi({ description: "The event's `id:`: 1, 2, 3, …" });
const event = <T extends string, D extends z.ZodType>(type: T, data: D) =>
	z.object({ seq, type: z.literal(type), data });

/** An event of a job in JSON: `id:`, `event:` and `data:` of the stream as one object. */
export const JobEvent = z
	.discriminatedUnion("type", [
		z.object({
			seq,
			type: StateType,
			data: StateEvent,
		}),
		event("job.retrying", RetryingEvent),
		event("description", DescriptionEvent),
		event("token", TokenEvent),
		event("usage", UsageEvent),
		event("done", DoneEvent),
	])
	.openapi("JobEvent", {
		example: { seq: 3, type: "token", data: { text: " cat" } },
	});

/** A job's events as a stream. */
export const EventStream = z
	.union([
		sse(StateType, "StateEvent"),
		sse(z.literal("job.retrying"), "RetryingEvent"),
		sse(z.literal("description"), "DescriptionEvent"),
		sse(z.literal("token"), "TokenEvent"),
		sse(z.literal("usage"), "UsageEvent"),
		sse(z.literal("done"), "DoneEvent"),
	])
	.openapi("EventStream", {
		description:
			"In each server-sent event, `id:` is the sequence number, and `event:` and `data:` are the " +
			"type and the data of a JobEvent.",
		example: { id: "3", event: "token", data: '{"text":" cat"}' },
	});
