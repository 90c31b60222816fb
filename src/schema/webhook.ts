/** Webhooks, which receive an account's events, and the deliveries to them. */
import { z } from "@hono/zod-openapi";
import {
	DisabledReason,
	EventType,
	TERMINAL_EVENTS,
} from "../contract/event-type.ts";
import { dropEmpty } from "./normalize.ts";
import { oneOf } from "./one-of.ts";

/** submit/webhook-address.ts and egress/rules.ts check where it leads. */
export const WebhookUrl = z
	.string()
	.min(1)
	.max(2048)
	.openapi({
		description:
			"An `https:` URL on port 443 of a public host, without credentials. Redirects are not " +
			"followed.",
		example: "https://example.com/hooks/minigpt4",
	});

const Events = z
	.array(EventType)
	.min(
		1,
		"is empty: list event types, or leave `events` out for a job's four terminal events",
	)
	.max(EventType.options.length)
	.transform((types) => [...new Set(types)]);

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
		status: z
			.literal("enabled")
			.optional()
			.openapi({
				description:
					"Enables the webhook again. It then receives the events that were pending when it was " +
					"disabled, and all events since. To start elsewhere, call `redeliver` with `after`.",
			}),
	})
	.openapi("WebhookChange", {
		example: { events: ["job.succeeded", "job.failed"] },
	});
export type WebhookChange = z.infer<typeof WebhookChange>;

/** The `webhook` of a job's request. */
export const JobWebhook = z
	.preprocess(
		// Keeps an empty `events`, so that its own schema refuses it with what to send instead.
		(value) => dropEmpty(value, "events"),
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
				"`account`: created by POST /v1/webhooks. `job`: created by jobs that name its URL in " +
				"`webhook`. It appears in no list, and the account's secret signs its messages.",
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
	description:
		"The signing secret, for the `standardwebhooks` packages. Shown only once.",
	example: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
});

/** A webhook with its secret. Only creation and rotation show it. */
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

/** The account's own secret, which signs the messages to the webhooks of jobs. */
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

/** The delivery of one event to one webhook. Each attempt updates it. */
export const Delivery = z
	.object({
		id: z.string().openapi({ example: "dlv_17" }),
		object: z.literal("delivery"),
		/** The event's id, as in the `webhook-id` header. */
		event: z.string(),
		type: z
			.string()
			.openapi({ description: "An event type, or `webhook.test`" }),
		/** Null for a test. */
		seq: z.int().nullable(),
		/** The number of attempts so far. */
		attempt: z.int(),
		/** When the last attempt began; before the first one, when the delivery was created. */
		at: z.iso.datetime(),
		status: z.enum(["delivered", "failed", "pending", "gave_up"]).openapi({
			description:
				"`pending`: not attempted yet. `failed`: the last attempt failed, and another follows at " +
				"`next_attempt_at`.",
		}),
		http_status: z.int().nullable(),
		error: z.string().nullable(),
		duration_ms: z.int().nullable(),
		/**
		 * Null if no attempt follows, and while an earlier event of the same job is still to be
		 * delivered.
		 */
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
		(value) => dropEmpty(value),
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
		/** The new delivery, if the request named an event. */
		delivery: Delivery.nullable(),
		/** The webhook's new position in the feed, if the request moved it. */
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

/**
 * The message that a receiver gets (Standard Webhooks). On a job's terminal events `data` is the
 * whole job, as GET returns it; on other events it is the event's own `data`.
 */
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
