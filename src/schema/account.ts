/**
 * Accounts, as callers and operators see them.
 *
 * Runs in the Worker, as schema/ does; the Endpoint object runs job-wire.ts and feed-wire.ts too.
 */
import { z } from "@hono/zod-openapi";
import { canonicalRange } from "../ip.ts";
import { ABOUT_SCOPES, PAGE_SCOPES, SCOPES } from "../scopes.ts";

export const AccountRequest = z
	.strictObject({ name: z.string().min(1).max(128) })
	.openapi("AccountRequest", { example: { name: "acme" } });

const ACCOUNT = {
	id: "0123456789abcdef",
	object: "account" as const,
	name: "acme",
	created_at: "2026-11-23T09:00:00.000Z",
	balance: { available: 9_999_000, held: 0 },
	suspended_at: null,
	frozen_at: null,
};

export const Account = z
	.object({
		id: z.string(),
		object: z.literal("account"),
		name: z.string(),
		created_at: z.iso.datetime(),
		/** Micro-USD. */
		balance: z.object({ available: z.int(), held: z.int() }),
		/** When operators suspended it: its calls are refused, its jobs go on. */
		suspended_at: z.iso.datetime().nullable(),
		/** When an audit found its ledger wrong: it gets no new job, and its jobs go on. */
		frozen_at: z.iso.datetime().nullable(),
	})
	.openapi("Account", { example: ACCOUNT });

/** An account as operators see it. */
export const AuditedAccount = Account.extend({
	/** When its owner closed it: only its ledger is left. */
	closed_at: z.iso.datetime().nullable(),
	audit: z.object({
		checked_at: z.iso.datetime().nullable(),
		last_seq: z.int().openapi({
			description:
				"The last entry of the ledger that is right, with all before it",
		}),
		mismatch: z.string().nullable().openapi({
			description: "What is wrong with the entry after it",
			example: "entry 43: available is 9000, and 9100 follows",
		}),
	}),
}).openapi("AuditedAccount", {
	example: {
		...ACCOUNT,
		closed_at: null,
		audit: {
			checked_at: "2026-11-24T09:00:00.000Z",
			last_seq: 42,
			mismatch: null,
		},
	},
});

/** Accounts as operators list them. */
export const AccountList = z
	.object({
		data: z.array(
			z.object({
				id: z.string(),
				name: z.string(),
				created_at: z.iso.datetime(),
				person: z
					.object({ issuer: z.string(), subject: z.string() })
					.nullable()
					.openapi({
						description:
							"Who signed up, as the provider names them; null if an operator made the account",
					}),
			}),
		),
		next_cursor: z.string().nullable(),
	})
	.openapi("AccountList", {
		example: {
			data: [
				{
					id: "0123456789abcdef",
					name: "acme",
					created_at: "2026-11-23T09:00:00.000Z",
					person: null,
				},
			],
			next_cursor: null,
		},
	});

export const SignInLink = z
	.object({
		url: z.url().openapi({ description: "Signs in once, to the console" }),
		expires_at: z.iso.datetime(),
	})
	.openapi("SignInLink", {
		example: {
			url: "https://api.example.com/console#link=8c1f…",
			expires_at: "2026-11-30T09:45:00.000Z",
		},
	});

/** `id` makes the credit unique: a second request with the same id adds nothing. */
export const CreditRequest = z
	.strictObject({
		id: z.string().min(1).max(128),
		/** Micro-USD. */
		amount: z.int().min(1).max(1_000_000_000_000),
	})
	.openapi("CreditRequest", {
		example: { id: "invoice-2026-117", amount: 10_000_000 },
	});

/** Scheme, host and port, exactly as a browser sends them in `Origin`. */
const Origin = z
	.string()
	.max(256)
	.superRefine((text, context) => {
		const url = /^https?:\/\/[^*]+$/i.test(text) ? URL.parse(text) : null;
		if (url?.origin === text) return;
		const expected = url
			? `\`${url.origin}\``
			: "scheme, host and port, without wildcards, as in `https://app.example.com`";
		context.addIssue({
			code: "custom",
			message: `is not an origin: write ${expected}`,
		});
	})
	.openapi({ example: "https://app.example.com" });

const Scope = z.enum(SCOPES).openapi("Scope", {
	description: `What a key may do: ${SCOPES.map(
		(scope) => `\`${scope}\`: ${ABOUT_SCOPES[scope]}`,
	).join("; ")}`,
	example: "jobs:write",
});

/** An address, or a range of them. Two ways of writing one become the same. */
const IpRange = z
	.string()
	.max(64)
	.transform((text, context) => {
		const canonical = canonicalRange(text);
		if (canonical && !canonical.hasHostBits) return canonical.range;
		const expected = canonical
			? `\`${canonical.range}\``
			: "an address or a range, as in `203.0.113.0/24` or `2001:db8::/32`";
		context.addIssue({
			code: "custom",
			message: `is not a range of IP addresses: write ${expected}`,
		});
		return z.NEVER;
	})
	.openapi({ type: "string", example: "203.0.113.0/24" });

/** Micro-USD; null is any. */
const spendLimit = z.int().min(0).max(1_000_000_000_000).nullish();

/** What callers set of a key beside its name and scopes. */
const KEY_LIMITS = {
	expires_at: z.iso.datetime({ offset: true }).nullish().openapi({
		description: "From then on the key is refused. Never, when left out.",
		example: "2027-01-01T00:00:00Z",
	}),
	ip_ranges: z
		.array(IpRange)
		.min(1, "is empty: list the ranges, or leave `ip_ranges` out for any")
		.max(50)
		.transform((ranges) => [...new Set(ranges)])
		.nullish()
		.openapi({
			description:
				"The only addresses that may use the key, IPv4 and IPv6, each alone or as a range in " +
				"CIDR notation. IPv6 needs ranges of its own: `0.0.0.0/0` holds no IPv6 address.",
			example: ["203.0.113.0/24", "2001:db8::/32"],
		}),
	origins: z
		.array(Origin)
		.min(1, "is empty: list the origins, or leave `origins` out for any")
		.max(20)
		.transform((origins) => [...new Set(origins)])
		.nullish()
		.openapi({
			description:
				"The origins of the only pages that may use this key. The API refuses calls that come " +
				"from no page, such as a server's. Such a key can read and change only what it created " +
				"itself. When left out, any page and any server may use the key, and it reaches " +
				"everything in the account.",
		}),
	spend_limits: z
		.strictObject({ day: spendLimit, month: spendLimit, total: spendLimit })
		.transform(({ day = null, month = null, total = null }) =>
			day === null && month === null && total === null
				? null
				: { day, month, total },
		)
		.nullish()
		.openapi({
			description:
				"Micro-USD that the key may spend in a day and a month of UTC, and in all. What its jobs " +
				"have cost counts, and what its running jobs hold, from when its limits are first set. A " +
				"job that would pass one is refused (402 `spend_limit_reached`). Any, when left out.",
			example: { day: 1_000_000, month: 20_000_000 },
		}),
};

export const KeyRequest = z
	.strictObject({
		name: z.string().min(1).max(128).openapi({ example: "website" }),
		scopes: z
			.array(Scope)
			.min(1, "is empty: list the scopes, or leave `scopes` out for the usual")
			.transform((scopes) => SCOPES.filter((scope) => scopes.includes(scope)))
			.nullish()
			.openapi({
				description:
					"What the key may do, at most what the key that creates it may. When left out: all but " +
					"`keys:admin`; with `origins`, " +
					`${PAGE_SCOPES.map((scope) => `\`${scope}\``).join(", ")}, which is all that such a ` +
					"key may have.",
				example: ["jobs:write", "jobs:read"],
			}),
		...KEY_LIMITS,
	})
	.superRefine(({ scopes, origins }, context) => {
		const wrong = origins && scopes?.find((one) => !PAGE_SCOPES.includes(one));
		if (wrong)
			context.addIssue({
				code: "custom",
				path: ["scopes"],
				message: `has \`${wrong}\`, which a key with \`origins\` cannot have: leave it out`,
			});
	})
	.openapi("KeyRequest", {
		example: {
			name: "nightly",
			scopes: ["jobs:write", "jobs:read"],
			expires_at: "2027-01-01T00:00:00Z",
			ip_ranges: ["203.0.113.0/24", "2001:db8::/32"],
			spend_limits: { day: 1_000_000 },
		},
	});

export const KeyChange = z
	.strictObject({
		name: KeyRequest.shape.name.optional(),
		scopes: z
			.array(Scope)
			.min(1, "is empty: list the scopes, or leave `scopes` out to keep them")
			.transform((scopes) => SCOPES.filter((scope) => scopes.includes(scope)))
			.optional(),
		expires_at: KEY_LIMITS.expires_at.openapi({
			description: "A time to come; null is never",
		}),
		ip_ranges: KEY_LIMITS.ip_ranges.openapi({ description: "Null is any" }),
		origins: KEY_LIMITS.origins.openapi({
			description: "Only of a key that has `origins`, and never null",
		}),
		spend_limits: KEY_LIMITS.spend_limits.openapi({
			description:
				"All three: one that is left out is none. What counts against them goes on to; null " +
				"ends that, and limits that are set later count from then on.",
		}),
	})
	.openapi("KeyChange", {
		example: { spend_limits: { day: 2_000_000, total: 50_000_000 } },
	});

const KEY = {
	id: "key_01JD8Z6Q3V9Y4K2M7N5P8R1S3T",
	object: "key",
	name: "nightly",
	created_at: "2026-11-23T09:00:00.000Z",
	scopes: ["jobs:write", "jobs:read"],
	expires_at: "2027-01-01T00:00:00.000Z",
	revoked_at: null,
	suspended_at: null,
	last_used_at: "2026-11-24T17:02:00.000Z",
	origins: null,
	ip_ranges: ["203.0.113.0/24", "2001:db8::/32"],
	spend_limits: { day: 1_000_000, month: null, total: null },
	spend: {
		day: 31_200,
		month: 812_000,
		total: 812_000,
		held: 1_024,
		since: "2026-11-23T09:00:00.000Z",
	},
	secrets: [
		{
			created_at: "2026-11-24T09:00:00.000Z",
			expires_at: null,
			last_used_at: "2026-11-24T17:02:00.000Z",
		},
		{
			created_at: "2026-11-23T09:00:00.000Z",
			expires_at: "2026-11-25T09:00:00.000Z",
			last_used_at: "2026-11-24T16:58:00.000Z",
		},
	],
	current: false,
};
const CREATED_KEY = {
	...KEY,
	last_used_at: null,
	spend: { day: 0, month: 0, total: 0, held: 0, since: KEY.created_at },
	secrets: [{ ...KEY.secrets[1], expires_at: null, last_used_at: null }],
	key: "mg_live_…",
};

const lastUsed = z.iso
	.datetime()
	.nullable()
	.openapi({ description: "The minute of the last call; null before any" });

export const Key = z
	.object({
		id: z.string(),
		object: z.literal("key"),
		name: z.string(),
		created_at: z.iso.datetime(),
		scopes: z.array(Scope),
		expires_at: z.iso.datetime().nullable(),
		revoked_at: z.iso.datetime().nullable(),
		suspended_at: z.iso.datetime().nullable().openapi({
			description:
				"When operators suspended it: calls are refused until they lift that",
		}),
		last_used_at: lastUsed,
		/** The origins whose pages alone may use the key; null means any caller. */
		origins: z.array(z.string()).nullable(),
		/** The addresses that alone may use the key; null means any. */
		ip_ranges: z.array(z.string()).nullable(),
		/** Micro-USD; null means any. */
		spend_limits: z
			.object({
				day: z.int().nullable(),
				month: z.int().nullable(),
				total: z.int().nullable(),
			})
			.nullable(),
		spend: z
			.object({
				day: z.int(),
				month: z.int(),
				total: z.int(),
				held: z.int(),
				since: z.iso.datetime(),
			})
			.nullable()
			.openapi({
				description:
					"Micro-USD that its jobs have cost in this day and month of UTC and in all, since it " +
					"first had `spend_limits`; and what its running jobs hold. Null without limits",
			}),
		secrets: z
			.array(
				z.object({
					created_at: z.iso.datetime(),
					expires_at: z.iso.datetime().nullable(),
					last_used_at: lastUsed,
				}),
			)
			.openapi({
				description:
					"The secrets that work, newest first: those before the newest until the grace of a " +
					"rotation ends",
			}),
		/** Whether this call was made with the key. */
		current: z.boolean(),
	})
	.openapi("Key", { example: KEY });

export const KeyList = z
	.object({ data: z.array(Key), next_cursor: z.null() })
	.openapi("KeyList", { example: { data: [KEY], next_cursor: null } });

/** The only response that shows the key itself. */
export const CreatedKey = Key.extend({
	key: z.string().openapi({ example: "mg_live_…" }),
}).openapi("CreatedKey", { example: CREATED_KEY });

export const RotationRequest = z
	.strictObject({
		grace: z
			.int()
			.min(0)
			.max(7 * 86_400)
			.default(86_400)
			.openapi({
				description:
					"Seconds for which the earlier secrets go on to work, where they would not end sooner: " +
					"at most 7 days, one when left out. With 0 they end at once.",
				example: 3_600,
			}),
	})
	.openapi("RotationRequest", { example: { grace: 3_600 } });

export const RotatedKey = Key.extend({
	key: z.string().nullable().openapi({
		description:
			"The key with its new secret, shown this once; null in the answer to a repeat",
		example: "mg_live_…",
	}),
}).openapi("RotatedKey", { example: { ...KEY, key: "mg_live_…" } });
