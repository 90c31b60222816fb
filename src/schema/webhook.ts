/** Webhooks: where an account's events are sent, and what became of each. */
import { z } from "@hono/zod-openapi";
import {
	DisabledReason,
	EventType,
	TERMINAL_EVENTS,
} from "../contract/event-type.ts";
import { lean } from "./nothing.ts";
import { oneOf } from "./one-of.ts";

/** What it may lead to is checked where it is used; see src/egress.ts. */
export const WebhookUrl = z.string().min(1).max(2048).openapi({
	description:
		"`https:` on port 443, a public host, no credentials. Redirects are not followed.",
	example: "https://example.com/hooks/minigpt4",
});

const Events = z
	.array(EventType)
	.min(
		1,
		"is empty: list event types, or leave `events` out for the four ends of a job",
	)
	.max(EventType.options.length)
	.transform((types) => [...new Set(types)]);

/** What is told where nothing else is asked for. */
export const DEFAULT_EVENTS: EventType[] = [...TERMINAL_EVENTS];

const Description = z.string().max(256);

export const WebhookRequest = z
	.strictObject({
		url: WebhookUrl,
		events: Events.default(DEFAULT_EVENTS),
		description: Description.default(""),
	})
	.openapi("WebhookRequest", {
		example: {
			url: "https://example.com/hooks/minigpt4",
			description: "production",
		},
	});
export type WebhookRequest = z.infer<typeof WebhookRequest>;

export const WebhookChange = z
	.strictObject({
		url: WebhookUrl.optional(),
		events: Events.optional(),
		description: Description.optional(),
		status: z.literal("enabled").optional().openapi({
			description:
				"Enables it again: what it was owed when it was disabled, and all events since, are delivered now. `redeliver` with `after` moves it elsewhere.",
		}),
	})
	.openapi("WebhookChange", {
		example: { events: ["job.succeeded", "job.failed"] },
	});
export type WebhookChange = z.infer<typeof WebhookChange>;

/** `webhook` of a job's request. */
export const JobWebhook = z
	.preprocess(
		// Of no events at all it is told what to write instead.
		(value) => lean(value, "events"),
		z.strictObject({
			url: WebhookUrl,
			events: Events.default(DEFAULT_EVENTS),
		}),
	)
	.openapi("JobWebhook", {
		example: { url: "https://example.com/hooks/minigpt4" },
	});
export type JobWebhook = z.infer<typeof JobWebhook>;

const WEBHOOK = {
	id: "wh_01JD8Z6Q3V9Y4K2M7N5P8R1S3T",
	object: "webhook",
	scope: "account",
	url: "https://example.com/hooks/minigpt4",
	events: ["job.succeeded", "job.failed", "job.canceled", "job.expired"],
	description: "production",
	status: "enabled",
	disabled_reason: null,
	created_at: "2026-11-23T09:00:00.000Z",
	last_success_at: "2026-11-23T09:30:01.700Z",
};

export const Webhook = z
	.object({
		id: z.string().openapi({ example: "wh_01JD8Z6Q3V9Y4K2M7N5P8R1S3T" }),
		object: z.literal("webhook"),
		scope: z.enum(["account", "job"]).openapi({
			description:
				"`account`: made by POST /v1/webhooks. `job`: the address of jobs that named it in `webhook`; it is in no list, and signed with the account's secret.",
		}),
		url: z.string(),
		events: z.array(EventType),
		description: z.string(),
		status: z.enum(["enabled", "disabled"]),
		disabled_reason: DisabledReason.nullable(),
		created_at: z.iso.datetime(),
		last_success_at: z.iso.datetime().nullable(),
	})
	.openapi("Webhook", { example: WEBHOOK });
export type Webhook = z.infer<typeof Webhook>;

const Secret = z.string().openapi({
	description: "For the `standardwebhooks` packages; shown this once",
	example: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
});

/** The only times that a webhook's secret is shown: when it is made and when it is rotated. */
export const WebhookWithSecret = Webhook.extend({ secret: Secret }).openapi(
	"WebhookWithSecret",
	{
		example: {
			...WEBHOOK,
			last_success_at: null,
			secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		},
	},
);

export const WebhookList = z
	.object({ data: z.array(Webhook), next_cursor: z.null() })
	.openapi("WebhookList", { example: { data: [WEBHOOK], next_cursor: null } });

/** The account's own secret: it signs what jobs' own webhooks get. */
export const AccountWebhookSecret = z
	.object({ secret: z.string() })
	.openapi("AccountWebhookSecret", {
		example: { secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" },
	});

const DELIVERY = {
	id: "dlv_17",
	object: "delivery",
	event: "evt_0123456789abcdef_42",
	type: "job.succeeded",
	seq: 42,
	attempt: 1,
	at: "2026-11-23T09:30:01.500Z",
	status: "delivered",
	http_status: 204,
	error: null,
	duration_ms: 86,
	next_attempt_at: null,
};

/** One event on its way to one webhook; each attempt changes it. */
export const Delivery = z
	.object({
		id: z.string().openapi({ example: "dlv_17" }),
		object: z.literal("delivery"),
		/** As in `webhook-id`. */
		event: z.string(),
		type: z
			.string()
			.openapi({ description: "An event type, or `webhook.test`" }),
		/** Null for a test. */
		seq: z.int().nullable(),
		/** Attempts so far. */
		attempt: z.int(),
		/** When the last attempt began; before the first, when the delivery was taken up. */
		at: z.iso.datetime(),
		status: z.enum(["delivered", "failed", "pending", "gave_up"]).openapi({
			description:
				"`pending`: not tried yet. `failed`: the last attempt failed, and another follows at `next_attempt_at`.",
		}),
		http_status: z.int().nullable(),
		error: z.string().nullable(),
		duration_ms: z.int().nullable(),
		/** Null where none follows, and while an earlier event of the same job is not through. */
		next_attempt_at: z.iso.datetime().nullable(),
	})
	.openapi("Delivery", { example: DELIVERY });
export type Delivery = z.infer<typeof Delivery>;

export const DeliveryList = z
	.object({ data: z.array(Delivery), next_cursor: z.string().nullable() })
	.openapi("DeliveryList", {
		example: { data: [DELIVERY], next_cursor: null },
	});

export const RedeliveryRequest = z
	.preprocess(
		(value) => lean(value),
		oneOf([
			z.strictObject({ event: z.string().max(64) }),
			z.strictObject({ after: z.int().min(0) }),
		]),
	)
	.openapi("RedeliveryRequest", {
		example: { event: "evt_0123456789abcdef_42" },
	});

export const Redelivery = z
	.object({
		webhook: z.string(),
		/** The delivery of the one event, where one was asked for. */
		delivery: Delivery.nullable(),
		/** Where the webhook goes on in the feed, where that was moved. */
		after: z.int().nullable(),
		last_seq: z.int(),
	})
	.openapi("Redelivery", {
		example: {
			webhook: "wh_01JD8Z6Q3V9Y4K2M7N5P8R1S3T",
			delivery: DELIVERY,
			after: null,
			last_seq: 42,
		},
	});

/** What a receiver gets (Standard Webhooks). `data` is the whole job on its terminal events, as GET shows it, and the event's own `data` otherwise. */
export const WebhookMessage = z
	.object({
		type: z.string(),
		timestamp: z.iso.datetime(),
		data: z.record(z.string(), z.unknown()),
	})
	.openapi("WebhookMessage", {
		example: {
			type: "job.succeeded",
			timestamp: "2026-11-23T09:30:01.480Z",
			data: {
				id: "01JD8Z6Q3V9Y4K2M7N5P8R1S3T",
				object: "job",
				status: "succeeded",
			},
		},
	});
