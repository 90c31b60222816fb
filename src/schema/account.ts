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

/** Credit is unique by its id: sent twice, it counts once. */
export const CreditRequest = z
	.strictObject({
		id: z.string().min(1).max(128),
		/** Micro-USD. */
		amount: z.int().min(1).max(1_000_000_000_000),
	})
	.openapi("CreditRequest", {
		example: { id: "invoice-2026-117", amount: 10_000_000 },
	});

/** Scheme, host and port, just as a browser sends them in `Origin`; what differs in anything is another origin. */
const Origin = z
	.string()
	.max(256)
	.superRefine((text, ctx) => {
		const url = /^https?:\/\/[^*]+$/i.test(text) ? URL.parse(text) : null;
		if (url?.origin === text) return;
		const meant = url && `\`${url.origin}\``;
		ctx.addIssue({
			code: "custom",
			message: `is no origin: ${meant ? `write ${meant}` : "write scheme, host and port, without wildcards, as in `https://app.example.com`"}`,
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
					"The only pages that may call with this key, by origin. A call that tells of no page, as servers make it, is refused. Such a key sees and touches only what it made itself. When left out, any page and any server may call, and all of the account is seen.",
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
		/** The only origins whose pages may call with it; null is any. */
		origins: z.array(z.string()).nullable(),
		/** Whether it is the key of this call. */
		current: z.boolean(),
	})
	.openapi("Key", { example: KEY });

export const KeyList = z
	.object({ data: z.array(Key), next_cursor: z.null() })
	.openapi("KeyList", { example: { data: [KEY], next_cursor: null } });

/** The only time the key itself is shown. */
export const CreatedKey = Key.extend({
	key: z.string().openapi({ example: "mg_live_…" }),
}).openapi("CreatedKey", { example: { ...KEY, key: "mg_live_…" } });
