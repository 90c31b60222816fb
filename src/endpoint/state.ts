/** An endpoint's state beside its deliveries, one row, and how it changes: pure decisions. */
import type { FeedPage, Report, WebhookView } from "../contract/account.ts";
import type { WebhookRef } from "../contract/endpoint.ts";
import { OLD_SECRET_VALID_MS } from "../webhook-secret.ts";
import type { DeliveryResult, Health } from "./result.ts";

const SWEEP_EVERY_MS = 24 * 60 * 60_000;

export interface Secret {
	secret: string;
	/** When it stops signing; null for the newest. */
	until: number | null;
}

export interface EndpointState extends WebhookRef, Health {
	/** As last read from the account; null before that. */
	webhook: WebhookView | null;
	/** The last event of the feed that was delivered or passed over; null before the first read. */
	cursor: number | null;
	/** Newest first. */
	secrets: Secret[];
	/** The account's secrets, which sign instead where the webhook is a job's. */
	accountSecrets: string[] | null;
	/** The id of the newest delivery; 0 before the first. */
	lastDelivery: number;
	/** Reports that the account has not acknowledged. */
	reports: Report[];
	/** The number of the newest report; 0 before the first. */
	lastReport: number;
	/** When to read the feed; null for not before the account says that there is something. */
	readAt: number | null;
	/** When to sweep the log of deliveries; null where it is empty. */
	sweepAt: number | null;
}

export const initialState = (
	{ account, id }: WebhookRef,
	secret: string,
): EndpointState => ({
	account,
	id,
	webhook: null,
	cursor: null,
	failingSince: null,
	lastSuccessAt: null,
	secrets: [{ secret, until: null }],
	accountSecrets: null,
	lastDelivery: 0,
	reports: [],
	lastReport: 0,
	readAt: null,
	sweepAt: null,
});

/** Two secrets sign at once, not more: a rotation soon after another one takes back the oldest. */
export const withSecret = (
	state: EndpointState,
	secret: string,
	now: number,
): EndpointState => ({
	...state,
	secrets: [
		{ secret, until: null },
		...state.secrets
			.slice(0, 1)
			.map((old) => ({ ...old, until: now + OLD_SECRET_VALID_MS })),
	],
});

/** The secrets that sign now, the newest first. */
export const signingSecrets = (state: EndpointState, now: number): string[] =>
	state.webhook?.scope === "job"
		? (state.accountSecrets ?? [])
		: state.secrets
				.filter(({ until }) => until === null || until > now)
				.map(({ secret }) => secret);

/** After one more delivery. */
export const withDelivery = (
	state: EndpointState,
	id: number,
	now: number,
): EndpointState => ({
	...state,
	lastDelivery: id,
	sweepAt: state.sweepAt ?? now + SWEEP_EVERY_MS,
});

/** After a sweep of the log. @param empty whether nothing is left to sweep */
export const afterSweep = (
	state: EndpointState,
	empty: boolean,
	now: number,
): EndpointState => ({
	...state,
	sweepAt: empty ? null : now + SWEEP_EVERY_MS,
});

/**
 * After a page of the feed: each of its events becomes a delivery.
 * @returns also whether the deliveries that are open begin anew, because their receiver is another
 * one
 */
export function afterPage(
	state: EndpointState,
	webhook: WebhookView,
	{ secrets, events, upTo }: FeedPage,
	now: number,
): { state: EndpointState; restart: boolean } {
	const before = state.webhook;
	const enabled = before?.status === "disabled" && webhook.status === "enabled";
	const moved = before !== null && before.url !== webhook.url;
	const sweepAt = events.length > 0 ? now + SWEEP_EVERY_MS : null;
	return {
		restart: enabled || moved,
		state: {
			...state,
			failingSince: enabled ? null : state.failingSince,
			webhook,
			accountSecrets: secrets,
			cursor: upTo,
			lastDelivery: state.lastDelivery + events.length,
			sweepAt: state.sweepAt ?? sweepAt,
		},
	};
}

/** After a try of a delivery, with what there is to report of it to the account. */
export function afterTry(
	state: EndpointState,
	{ event, type }: { event: string; type: string },
	{ tries, error }: { tries: number; error: string | null },
	{ status, health, disable }: DeliveryResult,
	now: number,
): EndpointState {
	const webhook = state.id;
	let after: EndpointState = { ...state, ...health };
	// An event about a webhook is not reported in turn: two webhooks that fail would keep each other
	// busy for ever.
	if (status === "gave_up" && !type.startsWith("webhook.")) {
		const reason = error ?? "";
		after = withReport(after, {
			type: "webhook.gave_up",
			data: { webhook, event, attempts: tries, reason },
		});
	}
	if (disable && after.webhook?.status === "enabled") {
		after = withReport(after, {
			type: "webhook.disabled",
			data: { webhook, reason: disable },
		});
		after.webhook = after.webhook && {
			...after.webhook,
			status: "disabled",
			reason: disable,
		};
	}
	// A read of the feed sends the reports first.
	return after.reports.length > 0 ? { ...after, readAt: now } : after;
}

const withReport = (
	state: EndpointState,
	fact: Report["fact"],
): EndpointState => ({
	...state,
	lastReport: state.lastReport + 1,
	reports: [...state.reports, { n: state.lastReport + 1, fact }],
});
