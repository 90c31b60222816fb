/** Webhook addresses as callers name them. */

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
		"To get the events on your own machine, run `minigpt4 webhooks listen --forward URL`. If you run this API yourself, allow the host with EGRESS_ALLOW or `npm start -- --egress-allow HOST:PORT`.",
};

/**
 * The address in its one spelling. Where its name leads is looked up at each delivery.
 * @param allow see `Egress`
 * @throws ApiError `url_refused`
 */
export function webhookUrl(
	text: string,
	field: string,
	allow: readonly string[],
): string {
	const refused = (words: string) =>
		new ApiError({
			code: "url_refused",
			field,
			detail: `\`${field}\` ${words}`,
		});
	const url = URL.parse(text);
	if (!url) throw refused("is not an absolute URL. Send `https://…`.");
	let found = objectionByName(url, allow);
	// Its way out is the one that helps, whatever else is wrong with the URL.
	if (found && found !== "credentials" && url.hostname && leadsHome(url))
		found = "private";
	if (found) throw refused(`${OBJECTIONS[found]}. ${REMEDIES[found]}`);
	url.hash = "";
	return url.href;
}

/**
 * A job's own webhook. Jobs that name the same address have the same one.
 * @param origin of this API, as the caller named it
 * @throws ApiError `url_refused`
 */
export async function jobHook(
	account: string,
	{ url, events }: JobWebhook,
	origin: string,
	allow: readonly string[],
): Promise<JobHook> {
	const known = webhookUrl(url, "webhook.url", allow);
	return { id: await idOf(account, known), url: known, events, origin };
}

const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/** In a ULID's form: 128 bits of a hash of account and address. */
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
