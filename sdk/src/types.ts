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
export type Upload = Schemas["Upload"];
export type Webhook = Soon<"Webhook">;
export type WebhookRequest = Soon<"WebhookRequest">;
export type WebhookChange = Soon<"WebhookPatch">;
export type CreatedWebhook = Soon<"CreatedWebhook">;
/** What a webhook delivers. */
export type WebhookMessage = Soon<"WebhookMessage">;
