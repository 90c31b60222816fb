/**
 * Accounts, as callers and operators see them.
 *
 * Runs in the Worker, as schema/ does; the Endpoint object runs job-wire.ts and feed-wire.ts too.
 */
import { z } from "@hono/zod-openapi";

export const AccountRequest = z
	.strictObject({ name: z.string().min(1).max(128) })
	.openapi("AccountRequest", { example: { name: "acme" } });

export const Account = z
	.object({
		id: z.string(),
		object: z.literal("account"),
		name: z.string(),
		created_at: z.iso.datetime(),
		/** Micro-USD. */
		balance: z.object({ available: z.int(), held: z.int() }),
	})
	.openapi("Account", {
		example: {
			id: "0123456789abcdef",
			object: "account",
			name: "acme",
			created_at: "2026-11-23T09:00:00.000Z",
			balance: { available: 9_999_000, held: 0 },
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

export const KeyRequest = z
	.strictObject({
		name: z.string().min(1).max(128).openapi({ example: "website" }),
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
	})
	.openapi("KeyRequest", {
		example: { name: "website", origins: ["https://app.example.com"] },
	});

const KEY = {
	id: "key_01JD8Z6Q3V9Y4K2M7N5P8R1S3T",
	object: "key",
	name: "website",
	created_at: "2026-11-23T09:00:00.000Z",
	revoked_at: null,
	origins: ["https://app.example.com"],
	current: false,
};

export const Key = z
	.object({
		id: z.string(),
		object: z.literal("key"),
		name: z.string(),
		created_at: z.iso.datetime(),
		revoked_at: z.iso.datetime().nullable(),
		/** The origins whose pages alone may use the key; null means any caller. */
		origins: z.array(z.string()).nullable(),
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
}).openapi("CreatedKey", { example: { ...KEY, key: "mg_live_…" } });
