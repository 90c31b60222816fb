/** What an Endpoint knows of itself, beside its deliveries: one row. */

import type { Report, WebhookView } from "../contract/account.ts";
import type { WebhookRef } from "../contract/endpoint.ts";
import { OLD_SECRET_MS } from "../webhook-secret.ts";
import type { Health } from "./result.ts";

export interface Secret {
	secret: string;
	/** When it stops signing; null for the newest. */
	until: number | null;
}

export interface EndpointState extends WebhookRef, Health {
	/** As last read; null before that. */
	webhook: WebhookView | null;
	/** The last event that was taken up, or passed by; null before the first reading. */
	cursor: number | null;
	/** Newest first. */
	secrets: Secret[];
	/** The account's, which sign instead where the webhook is a job's. */
	accountSecrets: string[] | null;
	/** Deliveries that ever were. */
	made: number;
	/** What the account was not told yet, and how much there ever was to tell. */
	reports: Report[];
	told: number;
	/** When to read the feed, and when to sweep the log; null for not before there is a reason. */
	readAt: number | null;
	sweepAt: number | null;
}

export const initialState = (
	{ account, id }: WebhookRef,
	secret: string,
): EndpointState => ({
	...{ account, id, webhook: null, cursor: null },
	...{ failingSince: null, lastSuccessAt: null },
	secrets: [{ secret, until: null }],
	accountSecrets: null,
	...{ made: 0, reports: [], told: 0, readAt: null, sweepAt: null },
});

/** Two sign at once, not more: a rotation soon after another one takes the oldest back. */
export const rotated = (
	secrets: readonly Secret[],
	secret: string,
	now: number,
): Secret[] => [
	{ secret, until: null },
	...secrets.slice(0, 1).map((old) => ({ ...old, until: now + OLD_SECRET_MS })),
];

/** Those that sign now, the newest first. */
export const signing = (state: EndpointState, now: number): string[] =>
	state.webhook?.scope === "job"
		? (state.accountSecrets ?? [])
		: state.secrets
				.filter(({ until }) => until === null || until > now)
				.map(({ secret }) => secret);

/** One more thing to tell the account. */
export const reporting = (
	state: EndpointState,
	fact: Report["fact"],
): EndpointState => ({
	...state,
	told: state.told + 1,
	reports: [...state.reports, { n: state.told + 1, fact }],
});
