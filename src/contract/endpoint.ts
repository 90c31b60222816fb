/** What an Endpoint receives and returns over RPC. Only the Worker and the Account call it. */

/** Identifies a webhook; the name of its Endpoint holds both. */
export interface WebhookRef {
	account: string;
	/** The webhook's id. */
	id: string;
}

/** See `schema/webhook.ts`; times are milliseconds since 1970. */
export interface DeliveryView {
	id: number;
	event: string;
	type: string;
	seq: number | null;
	/** So far. */
	tries: number;
	at: number;
	status: "delivered" | "failed" | "pending" | "gave_up";
	httpStatus: number | null;
	error: string | null;
	durationMs: number | null;
	nextAt: number | null;
}
