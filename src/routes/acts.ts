/** What operators did. */
import { createRoute, z } from "@hono/zod-openapi";
import type { ActView } from "../contract/directory.ts";
import { authenticateOperator } from "../http/operators.ts";
import { newRouter } from "../http/router.ts";
import { directoryOf } from "../objects.ts";
import { ActList } from "../schema/act.ts";
import { problems } from "./failures.ts";
import { json, pageLimit } from "./kit.ts";

export const acts = newRouter();

acts.openapi(
	createRoute({
		method: "get",
		path: "/",
		operationId: "listActs",
		summary: "What operators did, newest first",
		description:
			"Every write behind the admin secret, also one that was refused. It is noted before it is " +
			"done; nothing of it is ever changed or deleted.",
		security: [{ admin: [] }],
		middleware: authenticateOperator,
		request: {
			query: z.strictObject({
				cursor: z
					.string()
					.regex(/^\d{1,15}$/)
					.optional(),
				limit: pageLimit,
			}),
		},
		responses: {
			200: { description: "A page of acts", content: json(ActList) },
			...problems(400, "invalid_admin_secret"),
		},
	}),
	async (c) => {
		const { cursor = null, limit } = c.req.valid("query");
		const page = await directoryOf(c.env).acts(cursor, limit);
		return c.json(
			{ data: page.acts.map(actWire), next_cursor: page.nextCursor },
			200,
		);
	},
);

const actWire = ({
	at,
	requestId,
	...act
}: ActView): z.infer<typeof ActList>["data"][number] => ({
	seq: act.seq,
	at: new Date(at).toISOString(),
	method: act.method,
	path: act.path,
	body: act.body === null ? null : JSON.parse(act.body),
	status: act.status,
	ip: act.ip,
	request_id: requestId,
});
