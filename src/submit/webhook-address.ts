/** Checks the webhook URLs that callers name. */

import type { JobHook } from "../contract/account.ts";
import { sha256 } from "../crypto.ts";
import {
	leadsHome,
	OBJECTIONS,
	type ObjectionByName,
	objectionByName,
} from "../egress/rules.ts";
import { ApiError } from "../errors.ts";
import type { JobWebhook } from "../schema/webhook.ts";

const REMEDIES: Record<ObjectionByName, string> = {
	credentials: "Send a URL without them, and check the signature instead.",
	scheme: "Send a URL that does.",
	port: "Send a URL that does.",
	private:
		"To get the events on your own machine, run `minigpt4 webhooks listen --forward URL`. " +
		"If you run this API yourself, allow the host with EGRESS_ALLOW " +
		"or `npm start -- --egress-allow HOST:PORT`.",
};

/**
 * Checks and normalizes a webhook URL. Its host is resolved at each delivery, not here.
 * @param allow see `EgressRules`
 * @throws ApiError `url_refused`
 */
export function webhookUrl(
	text: string,
	field: string,
	allow: readonly string[],
): string {
	const refused = (reason: string) =>
		new ApiError({
			code: "url_refused",
			field,
			detail: `\`${field}\` ${reason}`,
		});
	const url = URL.parse(text);
	if (!url) throw refused("is not an absolute URL. Send `https://…`.");
	let objection = objectionByName(url, allow);
	// For a private host only the remedy of `private` helps, whatever else is wrong with the URL.
	if (
		objection &&
		objection !== "credentials" &&
		url.hostname &&
		leadsHome(url)
	)
		objection = "private";
	if (objection)
		throw refused(`${OBJECTIONS[objection]}. ${REMEDIES[objection]}`);
	url.hash = "";
	return url.href;
}

/**
 * A job's own webhook. Jobs of an account that name the same URL share one webhook.
 * @param origin the API's origin in the caller's request
 * @throws ApiError `url_refused`
 */
export async function jobHook(
	account: string,
	{ url, events }: JobWebhook,
	origin: string,
	allow: readonly string[],
): Promise<JobHook> {
	const address = webhookUrl(url, "webhook.url", allow);
	const id = await idOf(account, address);
	return { id, url: address, events, origin };
}

const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/** An id in a ULID's form, from 128 bits of a hash of account and URL. */
async function idOf(account: string, url: string): Promise<string> {
	const hash = await sha256(`${account}\n${url}`);
	let rest = BigInt(`0x${hash.slice(0, 32)}`);
	let digits = "";
	for (let n = 0; n < 26; n++) {
		digits = ALPHABET[Number(rest & 31n)] + digits;
		rest >>= 5n;
	}
	return `wh_${digits}`;
}
