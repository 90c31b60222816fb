/** The account's statement: a line for each entry of its ledger. */
import { z } from "@hono/zod-openapi";
import { ENTRY_KINDS } from "../contract/ledger.ts";

export const EntryKind = z.enum(ENTRY_KINDS).openapi("LedgerEntryKind", {
	description:
		"`credit`: money came in; `reversal`: a payment was refunded or disputed; `hold`: a job was " +
		"admitted, and the most that it can cost is set " +
		"aside; `settle`: the job ended and costs its price; `release`: it ended and costs nothing",
	example: "settle",
});

export const LedgerEntry = z
	.object({
		id: z.string(),
		object: z.literal("ledger_entry"),
		/** 1, 2, 3, … in the account, without a gap. */
		seq: z.int(),
		created_at: z.iso.datetime(),
		kind: EntryKind,
		job: z.string().nullable().openapi({ description: "Null for credits" }),
		credit: z.string().nullable().openapi({
			description: "The credit's id; null for entries of jobs",
		}),
		amount: z.int().openapi({
			description:
				"Micro-USD by which the entry changes what is available: negative for a hold and a " +
				"reversal; for `settle` the rest of the hold, which the job did not cost",
		}),
		price: z.int().nullable().openapi({
			description:
				"Micro-USD that the job cost, out of its hold; null while that is open, and for a credit",
		}),
		balance: z
			.object({ available: z.int(), held: z.int() })
			.openapi({ description: "Micro-USD, right after the entry" }),
	})
	.openapi("LedgerEntry");

const ENTRIES: z.infer<typeof LedgerEntry>[] = [
	{
		id: "led_0123456789abcdef_3",
		object: "ledger_entry",
		seq: 3,
		created_at: "2026-11-23T09:12:08.000Z",
		kind: "settle",
		job: "01JD8Z6Q3V9Y4K2M7N5P8R1S3T",
		credit: null,
		amount: 900,
		price: 124,
		balance: { available: 9_999_876, held: 0 },
	},
	{
		id: "led_0123456789abcdef_2",
		object: "ledger_entry",
		seq: 2,
		created_at: "2026-11-23T09:12:04.000Z",
		kind: "hold",
		job: "01JD8Z6Q3V9Y4K2M7N5P8R1S3T",
		credit: null,
		amount: -1_024,
		price: null,
		balance: { available: 9_998_976, held: 1_024 },
	},
	{
		id: "led_0123456789abcdef_1",
		object: "ledger_entry",
		seq: 1,
		created_at: "2026-11-23T09:00:00.000Z",
		kind: "credit",
		job: null,
		credit: "invoice-2026-117",
		amount: 10_000_000,
		price: null,
		balance: { available: 10_000_000, held: 0 },
	},
];

export const LedgerList = z
	.object({ data: z.array(LedgerEntry), next_cursor: z.string().nullable() })
	.openapi("LedgerList", { example: { data: ENTRIES, next_cursor: null } });

/** The lines of the example, for that of the CSV. */
export const EXAMPLE_ENTRIES = ENTRIES;
