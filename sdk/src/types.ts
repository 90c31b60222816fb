/** Names for the API's types. The types are generated from its OpenAPI document. */
import type { components } from "./wire.ts";

type Schemas = components["schemas"];

export type Account = Schemas["Account"];
export type CreatedKey = Schemas["CreatedKey"];
export type Delivery = Schemas["Delivery"];
export type Event = Schemas["Event"];
export type EventPage = Schemas["EventList"];
export type EventType = Schemas["EventType"];
export type Job = Schemas["Job"];
export type JobEvent = Schemas["JobEvent"];
export type JobRequest = Schemas["JobRequest"];
export type JobSummary = Schemas["JobSummary"];
export type Key = Schemas["Key"];
export type KeyChange = Schemas["KeyChange"];
export type KeyRequest = Schemas["KeyRequest"];
export type LedgerEntry = Schemas["LedgerEntry"];
export type Model = Schemas["Model"];
export type Problem = Schemas["Problem"];
export type Quote = Schemas["Quote"];
export type Receipt = Schemas["Receipt"];
export type ReceiptClaims = Schemas["ReceiptClaims"];
export type ReceiptKeys = Schemas["ReceiptKeys"];
export type Redelivery = Schemas["Redelivery"];
export type RedeliveryRequest = Schemas["RedeliveryRequest"];
export type RotatedKey = Schemas["RotatedKey"];
export type Scope = Schemas["Scope"];
export type TopUp = Schemas["TopUp"];
export type Upload = Schemas["Upload"];
export type Usage = Schemas["Usage"];
export type Webhook = Schemas["Webhook"];
export type WebhookChange = Schemas["WebhookChange"];
export type WebhookRequest = Schemas["WebhookRequest"];
export type WebhookWithSecret = Schemas["WebhookWithSecret"];

/**
 * A webhook's message. It carries the whole job that ended; or, if the job was deleted before the
 * delivery, the event's summary of it.
 */
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
