/**
 * The rows of the account's webhooks, and which of them want an event. The feed reads them when it
 * adds an event; what callers and Endpoints do with webhooks is in webhooks.ts.
 */
import type {
	Fact,
	FeedEvent,
	WebhookScope,
	WebhookView,
} from "../contract/account.ts";
import type { EventType } from "../contract/event-type.ts";
import { setDueUnlessSet } from "./due.ts";

export interface WebhookRow extends Record<string, SqlStorageValue> {
	scope: WebhookScope;
	id: string;
	url: string;
	events: string;
	description: string;
	origin: string;
	status: WebhookView["status"];
	reason: WebhookView["reason"];
	created_at: number;
	since: number;
	reported: number;
}

export function createWebhookTables(sql: SqlStorage): void {
	sql.exec(`CREATE TABLE webhook (
		scope TEXT NOT NULL,
		id TEXT NOT NULL,
		url TEXT NOT NULL,
		events TEXT NOT NULL,
		description TEXT NOT NULL,
		origin TEXT NOT NULL,
		status TEXT NOT NULL DEFAULT 'enabled',
		reason TEXT,
		created_at INTEGER NOT NULL,
		since INTEGER NOT NULL,
		reported INTEGER NOT NULL DEFAULT 0,
		PRIMARY KEY (scope, id)
	) WITHOUT ROWID`);
	sql.exec("CREATE TABLE webhook_secret (secret TEXT NOT NULL, until INTEGER)");
}

/**
 * Makes a notification due for every webhook that wants this event. An Endpoint that was not
 * notified of the last event yet reads both at once.
 */
export function scheduleNotifications(
	sql: SqlStorage,
	event: Fact & Pick<FeedEvent, "webhook">,
	now: number,
): void {
	for (const hook of webhookRows(sql, "account"))
		if (hook.status === "enabled" && wantsEvent(webhookView(hook), event))
			setDueUnlessSet(sql, `notify:${hook.id}`, now);
	const jobWebhook =
		event.webhook && findWebhookRow(sql, event.webhook, ["job"]);
	if (jobWebhook && jobWebhook.status === "enabled")
		setDueUnlessSet(sql, `notify:${jobWebhook.id}`, now);
}

/** A webhook does not get its own failures, because they would fail there again. */
export function wantsEvent(
	hook: Pick<WebhookView, "id" | "scope" | "events">,
	event: Fact & Pick<FeedEvent, "webhook">,
): boolean {
	if (hook.scope === "job") return event.webhook === hook.id;
	if ("webhook" in event.data && event.data.webhook === hook.id) return false;
	return hook.events.includes(event.type);
}

export const webhookRows = (
	sql: SqlStorage,
	scope: WebhookScope,
): WebhookRow[] =>
	sql
		.exec<WebhookRow>(
			"SELECT * FROM webhook WHERE scope = ? ORDER BY id",
			scope,
		)
		.toArray();

export function findWebhookRow(
	sql: SqlStorage,
	id: string,
	scopes: WebhookScope[] = ["account", "job"],
): WebhookRow | null {
	for (const scope of scopes) {
		const row = sql
			.exec<WebhookRow>(
				"SELECT * FROM webhook WHERE scope = ? AND id = ?",
				scope,
				id,
			)
			.toArray()[0];
		if (row) return row;
	}
	return null;
}

export const webhookView = (row: WebhookRow): WebhookView => ({
	id: row.id,
	scope: row.scope,
	url: row.url,
	events: JSON.parse(row.events) as EventType[],
	description: row.description,
	status: row.status,
	reason: row.reason,
	createdAt: row.created_at,
	origin: row.origin,
});
