/** The names of the wire's types. The types themselves are the API's own. */
import type { components } from "./wire.ts";

type Schemas = components["schemas"];
// biome-ignore lint/suspicious/noExplicitAny: until the document has it
type Soon<N extends string> = N extends keyof Schemas ? Schemas[N] : any;

export type Account = Schemas["Account"];
export type CreatedKey = Schemas["CreatedKey"];
export type Delivery = Soon<"Delivery">;
export type Event = Soon<"Event">;
export type EventPage = Soon<"EventList">;
export type EventType = Soon<"EventType">;
export type Job = Schemas["Job"];
export type JobEvent = Schemas["JobEvent"];
export type JobRequest = Schemas["JobRequest"];
export type JobSummary = Schemas["JobSummary"];
export type Key = Schemas["Key"];
export type KeyRequest = Schemas["KeyRequest"];
export type Model = Schemas["Model"];
export type Problem = Schemas["Problem"];
export type Redelivery = Soon<"Redelivery">;
export type RedeliveryRequest = Soon<"RedeliveryRequest">;
export type Upload = Schemas["Upload"];
export type Webhook = Soon<"Webhook">;
export type WebhookChange = Soon<"WebhookChange">;
export type WebhookRequest = Soon<"WebhookRequest">;
export type WebhookWithSecret = Soon<"WebhookWithSecret">;

/** What a webhook delivers: a job that ended comes whole, or as the event had it if it was erased meanwhile. */
export type WebhookMessage = Message<Event> | Test;

type Message<E> = E extends { type: infer T; data: infer D }
	? {
			type: T;
			timestamp: string;
			data: D extends { finished_at: string } ? Job | D : D;
		}
	: never;

interface Test {
	type: "webhook.test";
	timestamp: string;
	data: Record<string, unknown>;
}
