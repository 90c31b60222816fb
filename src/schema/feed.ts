/**
 * The account's event feed, ordered by `seq`: 1, 2, 3, … without gaps. Webhooks deliver the same
 * events.
 */
import { z } from "@hono/zod-openapi";
import {
	DisabledReason,
	EventType,
	TERMINAL_EVENTS,
} from "../contract/event-type.ts";
import { sse } from "./event-stream.ts";
import { JobSummary } from "./job.ts";
import { PAID, PAID_EXAMPLE } from "./price.ts";

const seq = z.int().openapi({
	description: "1, 2, 3, … in the account's feed, without gaps",
	example: 42,
});

const event = <T extends string, D extends z.ZodType>(
	types: readonly [T, ...T[]],
	data: D,
) =>
	z.object({
		id: z.string().openapi({
			description:
				"The event's id, the same in the feed and in the `webhook-id` header",
			example: "evt_0123456789abcdef_42",
		}),
		object: z.literal("event"),
		seq,
		type: z.enum(types),
		created_at: z.iso.datetime(),
		data,
	});

const JOB_EVENT = {
	id: "evt_0123456789abcdef_42",
	object: "event",
	seq: 42,
	type: "job.succeeded",
	created_at: "2026-11-23T09:30:01.480Z",
	data: {
		id: "01JD8Z6Q3V9Y4K2M7N5P8R1S3T",
		object: "job",
		status: "succeeded",
		model: "nano",
		created_at: "2026-11-23T09:30:00.000Z",
		finished_at: "2026-11-23T09:30:01.480Z",
		...PAID_EXAMPLE,
		urls: {
			self: "http://127.0.0.1:8787/v1/jobs/01JD8Z6Q3V9Y4K2M7N5P8R1S3T",
			events: "http://127.0.0.1:8787/v1/jobs/01JD8Z6Q3V9Y4K2M7N5P8R1S3T/events",
		},
	},
};

export const Event = z
	.discriminatedUnion("type", [
		event(["job.created", "job.deleted"], JobSummary),
		event(
			TERMINAL_EVENTS,
			JobSummary.extend({
				finished_at: z.iso.datetime(),
				price_parts: PAID.price_parts,
			}),
		),
		event(
			["webhook.gave_up"],
			z.object({
				webhook: z.string(),
				/** The id of the event that the receiver did not accept. */
				event: z.string(),
				attempts: z.int(),
				/** Why the last attempt failed. */
				reason: z.string(),
			}),
		),
		event(
			["webhook.disabled"],
			z.object({ webhook: z.string(), reason: DisabledReason }),
		),
	])
	.openapi("Event", { example: JOB_EVENT });
export type Event = z.infer<typeof Event>;

/** The feed as server-sent events. */
export const FeedStream = sse(EventType, "Event").openapi("FeedStream", {
	description:
		"In each server-sent event, `id:` is the event's `seq`, `event:` its type, and `data:` the " +
		"whole Event.",
	example: {
		id: String(JOB_EVENT.seq),
		event: JOB_EVENT.type,
		data: JSON.stringify(JOB_EVENT),
	},
});

export const EventList = z
	.object({
		data: z.array(Event),
		next_cursor: z
			.string()
			.nullable()
			.openapi({
				description:
					"The `after` of the next page; null at the end of the feed. An empty page may have one " +
					"too, if none of its events has a requested type.",
			}),
		last_seq: z.int().openapi({
			description:
				"The `seq` of the newest event, of whatever type; 0 in an empty feed",
		}),
	})
	.openapi("EventList", {
		example: { data: [JOB_EVENT], next_cursor: null, last_seq: 42 },
	});
