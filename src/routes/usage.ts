/** What the account used. */
import { createRoute, type z } from "@hono/zod-openapi";
import { DAY_MS, type UsageRow } from "../contract/usage.ts";
import { ApiError } from "../errors.ts";
import { requires, unwrapForCaller } from "../http/authenticate.ts";
import { newRouter } from "../http/router.ts";
import { type Usage, UsageList, UsageParameters } from "../schema/usage.ts";
import { problems } from "./failures.ts";
import { json } from "./kit.ts";

export const usage = newRouter();

/** The days of a report without `from`. */
const USUAL_DAYS = 30;
/** A leap year. */
const MAX_DAYS = 366;

usage.openapi(
	createRoute({
		method: "get",
		path: "/",
		operationId: "listUsage",
		summary: "What the account used, by day, key, model and task",
		description:
			"Jobs count on the day on which they settled, UTC, also those that cost nothing. The " +
			"prices are those of the ledger. A job that was deleted stays counted.",
		...requires("billing:read"),
		request: { query: UsageParameters },
		responses: {
			200: {
				description: "The sums, the oldest day first",
				content: json(UsageList),
			},
			...problems(400, 401, 429, "bound_key"),
		},
	}),
	async (c) => {
		const query = c.req.valid("query");
		const to = dayOf(query.to ?? new Date().toISOString());
		const from =
			query.from === undefined ? to - USUAL_DAYS + 1 : dayOf(query.from);
		if (from > to || to - from >= MAX_DAYS)
			throw new ApiError({
				code: "invalid_request",
				field: "from",
				detail: `\`from\` must be a day at or before \`to\`, and at most ${MAX_DAYS} days with it.`,
			});
		const { account, credential } = c.var.caller;
		const { rows } = unwrapForCaller(
			c,
			await account.usage(credential, { from, to, by: query.by }),
		);
		return c.json({ data: rows.map(usageWire), next_cursor: null }, 200);
	},
);

const dayOf = (date: string): number => Math.floor(Date.parse(date) / DAY_MS);

const usageWire = (row: UsageRow): z.infer<typeof Usage> => ({
	...row,
	day:
		row.day === null
			? null
			: new Date(row.day * DAY_MS).toISOString().slice(0, 10),
});
