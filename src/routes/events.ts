/** A job's events, from any point on. */
import { createRoute, z } from "@hono/zod-openapi";
import { ApiError } from "../errors.ts";
import { requires, unwrapForCaller } from "../http/authenticate.ts";
import { timed } from "../http/request-log.ts";
import { newRouter } from "../http/router.ts";
import { EventStream, JobEvent } from "../schema/event.ts";
import { openAfter, openJobLog } from "../stream/follower.ts";
import { EVENT_STREAM_HEADERS, eventStream } from "../stream/sse-writer.ts";
import { problems } from "./failures.ts";
import { JOB_PARAMS, Seq, startOf } from "./kit.ts";

export const events = newRouter();

// No route's schema names what a stream holds.
events.openAPIRegistry.register("JobEvent", JobEvent);

/** Of `after` and `Last-Event-ID`. */
const about = {
	description: "Sequence number of the last event already seen",
	example: "17",
};

events.openapi(
	createRoute({
		method: "get",
		path: "/{id}/events",
		operationId: "followJob",
		summary: "A job's events as server-sent events, until done",
		description:
			"Replays the log after `after` (or `Last-Event-ID`; the query wins), then goes on live. A " +
			"stream that ends without `done` broke: reconnect with the last `id`. A comment, one line " +
			"ahead of the next event, comes every 10 s.",
		...requires("jobs:read"),
		request: {
			params: JOB_PARAMS,
			query: z.object({ after: Seq.optional().openapi(about) }),
			headers: z.object({
				"last-event-id": z.string().optional().openapi(about),
			}),
		},
		responses: {
			200: {
				description: "The events",
				content: {
					"text/event-stream": { schema: EventStream },
				},
			},
			204: { description: "The job ended and you have seen all of it" },
			...problems(
				400,
				401,
				404,
				410,
				429,
				"job_not_found",
				"job_gone",
				"too_many_readers",
			),
		},
	}),
	async (c) => {
		const { id: owner, account, credential } = c.var.caller;
		const { id } = c.req.valid("param");
		const { after, field } = startOf(
			c.req.valid("query").after,
			c.req.header("Last-Event-ID"),
		);
		const seq = after ?? 0;
		const lookup = account.lookup(credential, id);
		unwrapForCaller(c, await timed(c, "auth", lookup));
		const open = openJobLog(c.env, owner, id);
		const opening = await timed(c, "read", openAfter(open, seq));
		switch (opening.state) {
			case "open": {
				const { signal } = c.req.raw;
				const stream = eventStream({ follow: opening.follow, signal });
				return new Response(stream, { headers: EVENT_STREAM_HEADERS });
			}
			case "complete":
				return c.body(null, 204);
			case "beyond":
				throw new ApiError({
					code: "invalid_request",
					field,
					detail:
						`\`${field}\` is beyond the job's last event, which is ${opening.lastSeq}. Start ` +
						"again from 0.",
				});
			case "missing":
				throw new ApiError({ code: "job_not_found" });
		}
	},
);
