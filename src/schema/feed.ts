/** The account's event feed: one order, `seq` 1, 2, 3, … without a gap. What it holds is what webhooks deliver. */
import { z } from "@hono/zod-openapi";
import {
	DisabledReason,
	EventType,
	TERMINAL_EVENTS,
} from "../contract/event-type.ts";
import { sse } from "./event-stream.ts";
import { JobSummary } from "./job.ts";

const seq = z.int().openapi({
	description: "1, 2, 3, … in the account's feed, without a gap",
	example: 42,
});

const event = <T extends string, D extends z.ZodType>(
	types: readonly [T, ...T[]],
	data: D,
) =>
	z.object({
		id: z.string().openapi({
			description:
				"The same wherever the event is met: in the feed, and as `webhook-id`",
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
		price: 1_000,
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
			JobSummary.extend({ finished_at: z.iso.datetime() }),
		),
		event(
			["webhook.gave_up"],
			z.object({
				webhook: z.string(),
				/** Id of the event that was not accepted. */
				event: z.string(),
				attempts: z.int(),
				/** Of the last attempt. */
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

/** The same as server-sent events. */
export const FeedStream = sse(EventType, "Event").openapi("FeedStream", {
	description:
		"Each server-sent event: `id:` is its `seq`, `event:` its type, `data:` all of it.",
	example: {
		id: String(JOB_EVENT.seq),
		event: JOB_EVENT.type,
		data: JSON.stringify(JOB_EVENT),
	},
});

export const EventList = z
	.object({
		data: z.array(Event),
		next_cursor: z.string().nullable().openapi({
			description:
				"The next page's `after`; null where the feed ends. A page may be empty and still have one, where none of its events has a type that was asked for.",
		}),
		last_seq: z.int().openapi({
			description: "The newest event's, asked for or not; 0 in an empty feed",
		}),
	})
	.openapi("EventList", {
		example: { data: [JOB_EVENT], next_cursor: null, last_seq: 42 },
	});
