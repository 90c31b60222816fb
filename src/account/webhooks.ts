/**
 * The account's webhooks: the address of each, and the events that it wants. Its Endpoint delivers:
 * it reads the feed when the account notifies it, which a due task, written with the event, makes
 * sure.
 */

import type {
	FeedEvent,
	FeedPage,
	JobHook,
	Report,
	WebhookScope,
	WebhookView,
} from "../contract/account.ts";
import { failed, type Result } from "../errors.ts";
import { newWebhookSecret, OLD_SECRET_VALID_MS } from "../webhook-secret.ts";
import { clearDue, dueAt, setDue } from "./due.ts";
import {
	appendEvent,
	eventsAfter,
	findEvent,
	lastSeq,
	oldestSeq,
	startAfter,
} from "./feed.ts";
import {
	findWebhookRow,
	type WebhookRow,
	wantsEvent,
	webhookRows,
	webhookView,
} from "./webhook-rows.ts";

/** The most webhooks of the account itself. Jobs may name any number of addresses. */
export const MAX_WEBHOOKS = 100;
/**
 * A job is kept for 30 days after its end, and its last event for 30 more. A webhook that jobs name
 * stays longer than that after the last job: the time is moved only when it gets short, because
 * each move is a write.
 */
const JOB_WEBHOOK_KEPT_MS = 100 * 24 * 60 * 60_000;
const JOB_WEBHOOK_LEAST_MS = 66 * 24 * 60 * 60_000;
/** Events that an Endpoint reads at once. */
const PAGE = 100;

export function createWebhook(
	sql: SqlStorage,
	hook: Pick<WebhookView, "id" | "url" | "events" | "description" | "origin">,
	now: number,
): Result<{ webhook: WebhookView }> {
	if (webhookRows(sql, "account").length >= MAX_WEBHOOKS)
		return failed({ code: "too_many_webhooks", limit: MAX_WEBHOOKS });
	return { ok: true, webhook: insert(sql, "account", hook, now) };
}

/**
 * Keeps a job's own webhook, before the job's first event. One that was disabled is enabled again.
 */
export function useJobWebhook(
	sql: SqlStorage,
	{ id, url, origin }: JobHook,
	now: number,
): void {
	const row = findWebhookRow(sql, id, ["job"]);
	if (row?.status === "disabled") enable(sql, row, now);
	if (!row)
		insert(sql, "job", { id, url, origin, events: [], description: "" }, now);
	if ((dueAt(sql, `hook:${id}`) ?? 0) < now + JOB_WEBHOOK_LEAST_MS)
		setDue(sql, `hook:${id}`, now + JOB_WEBHOOK_KEPT_MS);
}

/** The webhooks of the account itself, oldest first. */
export const listWebhooks = (sql: SqlStorage): WebhookView[] =>
	webhookRows(sql, "account").map(webhookView);

export function findWebhook(
	sql: SqlStorage,
	id: string,
): Result<{ webhook: WebhookView }> {
	const row = findWebhookRow(sql, id);
	return row
		? { ok: true, webhook: webhookView(row) }
		: failed({ code: "webhook_not_found" });
}

export function changeWebhook(
	sql: SqlStorage,
	id: string,
	change: Partial<Pick<WebhookView, "url" | "events" | "description">> & {
		enable: boolean;
	},
	now: number,
): Result<{ webhook: WebhookView }> {
	const row = findWebhookRow(sql, id);
	if (!row) return failed({ code: "webhook_not_found" });
	const { enable: wanted, ...fields } = change;
	const changed = Object.keys(fields)[0];
	if (row.scope === "job" && changed)
		return failed({
			code: "invalid_request",
			field: changed,
			detail:
				`\`${changed}\` belongs to the job that named the webhook; ` +
				"change only `status`.",
		});
	sql.exec(
		"UPDATE webhook SET url = ?, events = ?, description = ? WHERE scope = ? AND id = ?",
		fields.url ?? row.url,
		fields.events ? JSON.stringify(fields.events) : row.events,
		fields.description ?? row.description,
		row.scope,
		id,
	);
	if (wanted && row.status === "disabled") enable(sql, row, now);
	setDue(sql, `notify:${id}`, now);
	return findWebhook(sql, id);
}

/** All of them, jobs' own included. */
export const webhookIds = (sql: SqlStorage): string[] =>
	sql
		.exec<{ id: string }>("SELECT id FROM webhook")
		.toArray()
		.map(({ id }) => id);

/** Its Endpoint is notified, and finds no webhook any more. */
export function deleteWebhook(
	sql: SqlStorage,
	id: string,
	now: number,
): Result<{ webhook: WebhookView }> {
	const found = findWebhook(sql, id);
	if (!found.ok) return found;
	const { scope } = found.webhook;
	sql.exec("DELETE FROM webhook WHERE scope = ? AND id = ?", scope, id);
	clearDue(sql, `hook:${id}`);
	setDue(sql, `notify:${id}`, now);
	return found;
}

export interface Redelivery {
	webhook: WebhookView;
	event: FeedEvent | null;
	after: number | null;
	lastSeq: number;
}

/**
 * What a webhook is to get once more: one event, by its number, or all events after another one.
 */
export function findRedelivery(
	sql: SqlStorage,
	id: string,
	what: { event: number | null } | { after: number },
): Result<Redelivery> {
	const found = findWebhook(sql, id);
	if (!found.ok) return found;
	if (found.webhook.status === "disabled")
		return failed({ code: "webhook_disabled" });
	const { webhook } = found;
	const last = lastSeq(sql);
	if ("after" in what) {
		const start = startAfter(sql, what.after, "after");
		if (!start.ok) return start;
		const { after } = start;
		return { ok: true, webhook, event: null, after, lastSeq: last };
	}
	const event = what.event === null ? null : findEvent(sql, what.event);
	return event
		? { ok: true, webhook, event, after: null, lastSeq: last }
		: failed({ code: "event_not_found", field: "event" });
}

/**
 * A page of the feed for a webhook's Endpoint.
 * @param after null: from when the webhook was made
 */
export function readFeedPage(
	sql: SqlStorage,
	id: string,
	after: number | null,
	now: number,
): FeedPage {
	const row = findWebhookRow(sql, id);
	const last = lastSeq(sql);
	if (!row)
		return {
			webhook: null,
			secrets: null,
			events: [],
			upTo: last,
			lastSeq: last,
		};
	const webhook = webhookView(row);
	const from = Math.max(after ?? row.since, oldestSeq(sql) - 1);
	const page =
		webhook.status === "enabled"
			? eventsAfter(sql, from, PAGE, (event) => wantsEvent(webhook, event))
			: { events: [], upTo: from };
	const secrets = row.scope === "job" ? accountSecrets(sql, now) : null;
	return { webhook, secrets, lastSeq: last, ...page };
}

/** A value that changes whenever there may be something new for the webhook's Endpoint to read. */
export const revision = (sql: SqlStorage, id: string): string =>
	JSON.stringify([lastSeq(sql), findWebhookRow(sql, id)]);

/** Writes what an Endpoint reports into the feed. A report that came before changes nothing. */
export function recordReports(
	sql: SqlStorage,
	id: string,
	reports: readonly Report[],
	now: number,
): void {
	const row = findWebhookRow(sql, id);
	if (!row) return;
	let { reported, status } = row;
	for (const { n, fact } of reports) {
		if (n <= reported) continue;
		reported = n;
		if (fact.type === "webhook.disabled") {
			if (status === "disabled") continue;
			status = "disabled";
			sql.exec(
				"UPDATE webhook SET status = 'disabled', reason = ? WHERE scope = ? AND id = ?",
				fact.data.reason,
				row.scope,
				id,
			);
		}
		appendEvent(sql, fact, null, now);
	}
	sql.exec(
		"UPDATE webhook SET reported = ? WHERE scope = ? AND id = ?",
		reported,
		row.scope,
		id,
	);
}

/** The secrets that sign for jobs' webhooks, newest first. The first call makes one. */
export function accountSecrets(sql: SqlStorage, now: number): string[] {
	const secrets = sql
		.exec<{ secret: string }>(
			"SELECT secret FROM webhook_secret WHERE until IS NULL OR until > ? ORDER BY rowid DESC",
			now,
		)
		.toArray();
	return secrets.length > 0
		? secrets.map(({ secret }) => secret)
		: [addSecret(sql)];
}

/** @returns the new one */
export function rotateAccountSecret(sql: SqlStorage, now: number): string {
	accountSecrets(sql, now);
	// Two sign at once, not more: a rotation soon after another one takes back the oldest.
	sql.exec("DELETE FROM webhook_secret WHERE until IS NOT NULL");
	sql.exec("UPDATE webhook_secret SET until = ?", now + OLD_SECRET_VALID_MS);
	return addSecret(sql);
}

function addSecret(sql: SqlStorage): string {
	const secret = newWebhookSecret();
	sql.exec("INSERT INTO webhook_secret (secret) VALUES (?)", secret);
	return secret;
}

function enable(sql: SqlStorage, { scope, id }: WebhookRow, now: number): void {
	sql.exec(
		"UPDATE webhook SET status = 'enabled', reason = NULL WHERE scope = ? AND id = ?",
		scope,
		id,
	);
	setDue(sql, `notify:${id}`, now);
}

function insert(
	sql: SqlStorage,
	scope: WebhookScope,
	hook: Pick<WebhookView, "id" | "url" | "events" | "description" | "origin">,
	now: number,
): WebhookView {
	const { id, url, events, description, origin } = hook;
	return webhookView(
		sql
			.exec<WebhookRow>(
				`INSERT INTO webhook (scope, id, url, events, description, origin, created_at, since)
					VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING *`,
				scope,
				id,
				url,
				JSON.stringify(events),
				description,
				origin,
				now,
				lastSeq(sql),
			)
			.one(),
	);
}
