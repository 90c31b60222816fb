/** The account's ledger, as a statement. */
import { createRoute, z } from "@hono/zod-openapi";
import {
	cursorOf,
	type Statement,
	type StatementPage,
} from "../contract/ledger.ts";
import { decodeRows } from "../contract/ledger-part.ts";
import { sha256 } from "../crypto.ts";
import { config } from "../env.ts";
import { ApiError } from "../errors.ts";
import { preferredType } from "../http/accept.ts";
import { requires, unwrapForCaller } from "../http/authenticate.ts";
import { newRouter } from "../http/router.ts";
import { get } from "../images/s3.ts";
import { logLine } from "../log.ts";
import { EntryKind, EXAMPLE_ENTRIES, LedgerList } from "../schema/ledger.ts";
import { entriesCsv, entryWire } from "../schema/ledger-wire.ts";
import { problems } from "./failures.ts";
import { json } from "./kit.ts";

export const ledger = newRouter();

const time = z.iso.datetime({ offset: true }).optional();

ledger.openapi(
	createRoute({
		method: "get",
		path: "/",
		operationId: "listLedger",
		summary: "The account's ledger, newest first",
		description:
			"Every movement of money, as in a bank's statement: what it changed, and the balance after " +
			"it. It is never changed and never shortened. A page may have fewer entries than `limit`, " +
			"or none, where few match: go on while there is a `next_cursor`. With `Accept: text/csv` " +
			"the same as CSV; the next page is then in the `Link` header.",
		...requires("billing:read"),
		request: {
			query: z.strictObject({
				cursor: z.string().min(1).max(64).optional(),
				limit: z.coerce.number().int().min(1).max(1000).default(100),
				after: time.openapi({
					description: "Only entries at this time or later",
					example: "2026-11-01T00:00:00Z",
				}),
				before: time.openapi({
					description: "Only entries before this time",
					example: "2026-12-01T00:00:00Z",
				}),
				kind: EntryKind.optional(),
			}),
		},
		responses: {
			200: {
				description: "A page of the ledger",
				headers: z.object({
					Link: z.string().optional().openapi({
						description: "The next page, where there is one",
						example:
							'<https://api.example.com/v1/ledger?cursor=l2>; rel="next"',
					}),
				}),
				content: {
					...json(LedgerList),
					"text/csv": {
						schema: z
							.string()
							.openapi({ example: entriesCsv(EXAMPLE_ENTRIES) }),
					},
				},
			},
			...problems(400, 401, 429, 503, "bound_key"),
		},
	}),
	async (c) => {
		const { account, credential, id } = c.var.caller;
		const { cursor, limit, after, before, kind } = c.req.valid("query");
		const page: StatementPage = {
			cursor: cursor ?? null,
			limit,
			after: after === undefined ? null : Date.parse(after),
			before: before === undefined ? null : Date.parse(before),
			kind: kind ?? null,
		};
		const statement = unwrapForCaller(
			c,
			await account.statement(credential, page),
		);
		const { lines, nextCursor } = await withParts(c.env, statement, page);
		const data = lines.map((line) => entryWire(id, line));
		if (nextCursor !== null) {
			const next = new URL(c.req.url);
			next.searchParams.set("cursor", nextCursor);
			c.header("Link", `<${next}>; rel="next"`);
		}
		c.header("Vary", "Accept", { append: true });
		return preferredType(c.req.header("Accept"), OFFERS) === "text/csv"
			? c.text(entriesCsv(data), 200, {
					"Content-Type": "text/csv; charset=utf-8",
				})
			: c.json({ data, next_cursor: nextCursor }, 200);
	},
);

/**
 * A page with what of it lies in the bucket.
 * @throws ApiError `storage_unavailable`, also where a part is not what the account wrote
 */
async function withParts(
	env: Env,
	{ lines, parts, below, nextCursor }: Statement,
	{ limit, after, before, kind }: StatementPage,
): Promise<Pick<Statement, "lines" | "nextCursor">> {
	const found = [...lines];
	for (const { key, bytes, sha256: expected } of parts) {
		const part = await get(config(env), key, bytes);
		if (!(part instanceof Uint8Array) || (await sha256(part)) !== expected) {
			logLine("ledger_part_lost", { level: "error", key });
			throw new ApiError({ code: "storage_unavailable" });
		}
		const rows = decodeRows(part).filter(
			(row) =>
				row.seq < below &&
				(after === null || row.at >= after) &&
				(before === null || row.at < before) &&
				(kind === null || row.kind === kind),
		);
		found.push(...rows.reverse());
		const last = found[limit - 1];
		if (found.length > limit && last)
			return { lines: found.slice(0, limit), nextCursor: cursorOf(last.seq) };
	}
	return { lines: found, nextCursor };
}

const OFFERS = ["application/json", "text/csv"] as const;
