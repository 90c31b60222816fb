/** The types of events in an account's feed. */
import { z } from "@hono/zod-openapi";

export const TERMINAL_EVENTS = [
	"job.succeeded",
	"job.failed",
	"job.canceled",
	"job.expired",
] as const;

export const EVENT_TYPES = [
	"job.created",
	...TERMINAL_EVENTS,
	"job.deleted",
	"webhook.gave_up",
	"webhook.disabled",
] as const;

export const EventType = z.enum(EVENT_TYPES).openapi("EventType");
export type EventType = z.infer<typeof EventType>;

/** Why a webhook was disabled: its receiver answered 410, or accepted nothing for five days. */
export const DisabledReason = z.enum(["gone", "no_success"]);
