import { z } from "@hono/zod-openapi";

export const AccountRequest = z
	.strictObject({ name: z.string().min(1).max(128) })
	.openapi("AccountRequest");

export const Account = z
	.object({
		id: z.string(),
		object: z.literal("account"),
		name: z.string(),
		created_at: z.iso.datetime(),
		/** Micro-USD. */
		balance: z.object({ available: z.int(), held: z.int() }),
	})
	.openapi("Account");

/** Credit is unique by its id: sent twice, it counts once. */
export const CreditRequest = z
	.strictObject({
		id: z.string().min(1).max(128),
		/** Micro-USD. */
		amount: z.int().min(1).max(1_000_000_000_000),
	})
	.openapi("CreditRequest");

export const KeyRequest = z
	.strictObject({ name: z.string().min(1).max(128) })
	.openapi("KeyRequest");

export const Key = z
	.object({
		id: z.string(),
		object: z.literal("key"),
		name: z.string(),
		created_at: z.iso.datetime(),
		revoked_at: z.iso.datetime().nullable(),
	})
	.openapi("Key");

export const KeyList = z
	.object({ data: z.array(Key), next_cursor: z.null() })
	.openapi("KeyList");

/** The only time the key itself is shown. */
export const CreatedKey = Key.extend({ key: z.string() }).openapi("CreatedKey");
