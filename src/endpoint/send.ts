/**
 * One try: signed, to a public address, without following redirects. What the receiver says beyond
 * its status is not read far.
 */
import { Webhook } from "standardwebhooks";
import { type EgressRules, OBJECTIONS, objection } from "../egress/rules.ts";
import { readAtMost } from "../read-at-most.ts";
import type { TryOutcome } from "./result.ts";

/** A short response is read, so that its connection can be used again. */
const READ_BYTES = 4 * 1024;

export interface Message {
	/** The event's id. */
	id: string;
	body: string;
}

/**
 * `webhook-id`, `webhook-timestamp` and `webhook-signature`; each valid secret signs.
 * @param now milliseconds since 1970
 */
export function signed(
	{ id, body }: Message,
	secrets: readonly string[],
	now: number,
): Record<string, string> {
	const at = new Date(now);
	return {
		"webhook-id": id,
		"webhook-timestamp": String(Math.floor(now / 1000)),
		"webhook-signature": secrets
			.map((secret) => new Webhook(secret).sign(id, at, body))
			.join(" "),
	};
}

/** @param withinMs for look-up, connection, request and response together */
export async function send(
	text: string,
	message: Message,
	secrets: readonly string[],
	egress: EgressRules,
	now: number,
	withinMs: number,
): Promise<TryOutcome> {
	const none = (error: string): TryOutcome => ({ httpStatus: null, error });
	// A timer that is left running would keep the object in memory.
	const late = new AbortController();
	const timer = setTimeout(() => late.abort(), withinMs);
	const { signal } = late;
	try {
		const url = new URL(text);
		const found = await objection(url, egress, signal);
		if (found) return none(`The URL ${OBJECTIONS[found]}.`);
		const response = await fetch(url, {
			method: "POST",
			redirect: "manual",
			signal,
			headers: {
				"Content-Type": "application/json",
				"User-Agent": "minigpt4-api",
				...signed(message, secrets, now),
			},
			body: message.body,
		});
		// The status alone counts, whatever becomes of the body.
		await readAtMost(response, READ_BYTES).catch(() => {});
		const { status, ok } = response;
		return { httpStatus: status, error: ok ? null : wordsOf(status) };
	} catch {
		return none(
			signal.aborted
				? `No answer within ${withinMs / 1000} s.`
				: "The connection failed.",
		);
	} finally {
		clearTimeout(timer);
	}
}

const wordsOf = (status: number): string =>
	status >= 300 && status < 400
		? `Answered ${status}: redirects are not followed. Give the webhook its final URL.`
		: `Answered ${status}, and only 2xx accepts.`;
