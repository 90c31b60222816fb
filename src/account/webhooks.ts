/**
 * The account's webhooks: where each leads and what it wants. Delivering is its Endpoint's business, which reads the feed
 * by itself; a due row, written with the event, is all that it is told by.
 */

import type {
	FeedPage,
	JobHook,
	Report,
	WebhookScope,
	WebhookView,
} from "../contract/account.ts";
import { failed, type Result } from "../errors.ts";
import { newSecret, OLD_SECRET_MS } from "../webhook-secret.ts";
import { clearDue, dueAt, setDue } from "./due.ts";
import { eventsAfter, lastSeq, oldestSeq, tell } from "./feed.ts";
import {
	findWebhookRow,
	type WebhookRow,
	wants,
	webhookRows,
	webhookView,
} from "./webhook-rows.ts";

/** Webhooks of the account itself; jobs may name as many addresses as there are. */
export const MAX_WEBHOOKS = 100;
/**
 * A job is kept 30 days after its end and its last event 30 more, so a webhook that jobs name stays for longer than that
 * after the last job; by how much, it is not worth a write with each of them.
 */
const JOB_WEBHOOK_KEPT_MS = 100 * 24 * 60 * 60_000;
const JOB_WEBHOOK_LEAST_MS = 66 * 24 * 60 * 60_000;
/** Of one reading. */
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

/** Before the job's first event. One that was disabled is enabled again: the caller has just asked for it. */
export function useJobHook(
	sql: SqlStorage,
	{ id, url, origin }: JobHook,
	now: number,
): void {
	const known = findWebhookRow(sql, id, ["job"]);
	if (known?.status === "disabled") enable(sql, known, now);
	if (!known)
		insert(sql, "job", { id, url, origin, events: [], description: "" }, now);
	if ((dueAt(sql, `hook:${id}`) ?? 0) < now + JOB_WEBHOOK_LEAST_MS)
		setDue(sql, `hook:${id}`, now + JOB_WEBHOOK_KEPT_MS);
}

/** Those of the account, oldest first. */
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
			detail: `\`${changed}\` of a job's webhook is what the job said; only \`status\` can be changed.`,
		});
	sql.exec(
		"UPDATE webhook SET url = ?, events = ?, description = ? WHERE scope = ? AND id = ?",
		fields.url ?? row.url,
		fields.events ? JSON.stringify(fields.events) : row.events,
		fields.description ?? row.description,
		...[row.scope, id],
	);
	if (wanted && row.status === "disabled") enable(sql, row, now);
	setDue(sql, `notify:${id}`, now);
	return findWebhook(sql, id);
}

/** Its Endpoint learns of it as of an event. */
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

/** For its Endpoint. @param after null: from where the webhook was made */
export function readFor(
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
			? eventsAfter(sql, from, PAGE, (event) => wants(webhook, event))
			: { events: [], upTo: from };
	const secrets = row.scope === "job" ? accountSecrets(sql, now) : null;
	return { webhook, secrets, lastSeq: last, ...page };
}

/** Changes whenever there may be something new for its Endpoint to read. */
export const revision = (sql: SqlStorage, id: string): string =>
	JSON.stringify([lastSeq(sql), findWebhookRow(sql, id)]);

/** From its Endpoint; what was said before changes nothing. */
export function report(
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
				...[fact.data.reason, row.scope, id],
			);
		}
		tell(sql, fact, null, now);
	}
	sql.exec(
		"UPDATE webhook SET reported = ? WHERE scope = ? AND id = ?",
		...[reported, row.scope, id],
	);
}

/** Newest first; the first is made where there is none. */
export function accountSecrets(sql: SqlStorage, now: number): string[] {
	const known = sql
		.exec<{ secret: string }>(
			"SELECT secret FROM webhook_secret WHERE until IS NULL OR until > ? ORDER BY rowid DESC",
			now,
		)
		.toArray();
	return known.length > 0
		? known.map(({ secret }) => secret)
		: [addSecret(sql)];
}

/** @returns the new one */
export function rotateAccountSecret(sql: SqlStorage, now: number): string {
	accountSecrets(sql, now);
	// Two sign at once, not more: a rotation soon after another one takes the oldest back.
	sql.exec("DELETE FROM webhook_secret WHERE until IS NOT NULL");
	sql.exec("UPDATE webhook_secret SET until = ?", now + OLD_SECRET_MS);
	return addSecret(sql);
}

function addSecret(sql: SqlStorage): string {
	const secret = newSecret();
	sql.exec("INSERT INTO webhook_secret (secret) VALUES (?)", secret);
	return secret;
}

function enable(sql: SqlStorage, { scope, id }: WebhookRow, now: number): void {
	sql.exec(
		"UPDATE webhook SET status = 'enabled', reason = NULL WHERE scope = ? AND id = ?",
		...[scope, id],
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
				"INSERT INTO webhook (scope, id, url, events, description, origin, created_at, since) VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING *",
				...[scope, id, url, JSON.stringify(events), description, origin, now],
				lastSeq(sql),
			)
			.one(),
	);
}
