/**
 * Why a key is refused, and what cannot be done with keys: the part of failures.ts that is about
 * them.
 */
import { failures, NO_FIELD } from "./about-failure.ts";

export const KEY_FAILURES = failures({
	missing_key: {
		status: 401,
		detail: "Send your API key as `Authorization: Bearer mg_live_…`.",
	},
	invalid_key: {
		status: 401,
		detail:
			"This is not a key of this API. Copy the whole key, from `mg_live_` to its end.",
	},
	revoked_key: {
		status: 401,
		detail: "This key was revoked. Use another key of the account.",
	},
	key_expired: {
		status: 401,
		example: { expired_at: "2026-11-23T09:00:00.000Z" },
		detail: ({ expired_at }) =>
			`This key expired at ${expired_at}. If it was rotated, use its new secret; if not, use ` +
			"another key of the account.",
	},
	key_suspended: {
		status: 403,
		detail:
			"The operator of this API suspended this key. Its jobs go on; ask the operator to let it " +
			"in again.",
	},
	account_suspended: {
		status: 403,
		detail:
			"The operator of this API suspended this account. Its jobs go on; ask the operator to let " +
			"it in again.",
	},
	account_busy: {
		status: 409,
		detail:
			"The account has jobs that have not ended, or its card is being charged. Cancel its jobs, " +
			"or wait for them, and try again.",
	},
	account_closed: {
		status: 409,
		detail:
			"The account was closed by its owner. Its ledger is all that is left of it.",
	},
	account_frozen: {
		status: 403,
		detail:
			"The audit of this account's ledger found something wrong, so it gets no new job until the " +
			"operator of this API has looked at it. Its jobs go on, and all can be read.",
	},
	ip_not_allowed: {
		status: 403,
		/** Null where the platform does not tell it. */
		example: { ip: "198.51.100.7" } as { ip: string | null },
		detail: ({ ip }) =>
			`This key does not work from ${ip ?? "an unknown address"}: its \`ip_ranges\` do not hold ` +
			"that address. Create a key that does, with POST /v1/keys.",
	},
	scope_missing: {
		status: 403,
		/** `scope`: the one that is needed; `scopes`: those of the key. */
		example: { scope: "jobs:write", scopes: ["jobs:read"] } as {
			field?: string;
			scope: string;
			scopes: string[];
		},
		detail: ({ field, scope, scopes }) =>
			`${field === undefined ? "This call" : `\`${field}\``} needs a key with the scope ` +
			`\`${scope}\`, and this one has ${scopes.join(", ")}. Use another key, or create one: POST ` +
			"/v1/keys.",
	},
	invalid_admin_secret: {
		status: 401,
		detail: "Send the admin secret as `Authorization: Bearer …`.",
	},
	origin_not_allowed: {
		status: 403,
		/** As the page's browser sent it. */
		example: { origin: "https://elsewhere.example" },
		detail: ({ origin }) =>
			`This key does not work on pages of ${origin}: its \`origins\` do not list that ` +
			"origin. Create a key that does, with POST /v1/keys from your server.",
	},
	origin_required: {
		status: 403,
		detail:
			"This key has `origins`: it works only on pages of these origins, where the browser sends " +
			"`Origin`. On a server, use a key without `origins`.",
	},
	bound_key: {
		status: 403,
		example: NO_FIELD,
		detail: ({ field }) =>
			field
				? "This key has `origins`, so visitors of a page can read it, and it cannot set " +
					`\`${field}\`. Leave \`${field}\` out, or use a key without \`origins\`.`
				: "This key has `origins`, so visitors of a page can read it. It can use its own jobs " +
					"and uploads, but not the account's keys, webhooks, events and balance. Use a key " +
					"without `origins`.",
	},
	last_key: {
		status: 409,
		detail:
			"This is the last key that can create keys: without it the account would be locked. Create " +
			"another key with the scope `keys:admin` first: POST /v1/keys.",
	},
	too_many_keys: {
		status: 409,
		example: { limit: 100 },
		detail: ({ limit }) =>
			`The account has ${limit} keys and may have no more. Revoke one that you no longer ` +
			"use: DELETE /v1/keys/{id}.",
	},
	too_many_secrets: {
		status: 409,
		example: { limit: 10 },
		detail: ({ limit }) =>
			`The key has ${limit} secrets that work and may have no more. Wait until the grace of one ` +
			"ends, or rotate with `grace` 0, which ends all but the new one.",
	},
	key_ended: {
		status: 409,
		detail:
			"This key was revoked or has expired: it gets no new secret, and nothing about it changes. " +
			"Create another key: POST /v1/keys.",
	},
});
