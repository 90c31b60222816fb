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

const seq = z.int().openapi({ description: "The event's `id:`: 1, 2, 3, …" });
const event = <T extends string, D extends z.ZodType>(type: T, data: D) =>
	z.object({ seq, type: z.literal(type), data });

/** An event as a client has it: what `id:`, `event:` and `data:` said. */
export const JobEvent = z
	.discriminatedUnion("type", [
		z.object({
			seq,
			type: z.enum([
				"job.queued",
				"job.provisioning",
				"job.running",
				"job.succeeded",
				"job.failed",
				"job.canceled",
				"job.expired",
			]),
			data: StateEvent,
		}),
		event("job.retrying", RetryingEvent),
		event("token", TokenEvent),
		event("usage", UsageEvent),
		event("done", DoneEvent),
	])
	.openapi("JobEvent", {
		example: { seq: 3, type: "token", data: { text: " cat" } },
	});

/** A job's events as they go over the wire. */
export const EventStream = z.string().openapi("EventStream", {
	description:
		"Server-sent events: `id:` is the sequence number, `event:` and `data:` are type and data of a JobEvent.",
	example: [
		': ping\nretry: 1000\nid: 1\nevent: job.queued\ndata: {"id":"01JD8Z6Q3V9Y4K2M7N5P8R1S3T","status":"queued"}',
		'id: 2\nevent: job.running\ndata: {"id":"01JD8Z6Q3V9Y4K2M7N5P8R1S3T","status":"running"}',
		'id: 3\nevent: token\ndata: {"text":"The photo shows a tabby"}',
		'id: 4\nevent: token\ndata: {"text":" cat with green eyes."}',
		'id: 5\nevent: usage\ndata: {"images":1,"prompt_tokens":94,"output_tokens":11}',
		'id: 6\nevent: job.succeeded\ndata: {"id":"01JD8Z6Q3V9Y4K2M7N5P8R1S3T","status":"succeeded","price":1000,"finish_reason":"stop"}',
		'id: 7\nevent: done\ndata: {"last_seq":6,"tokens":11,"bytes":43,"sha256":"0703946e81b7b129333e8bc2065cfa2717ead0071c10d5812313e56bf659b0ab"}',
		"",
	].join("\n\n"),
});
