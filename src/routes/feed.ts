/** The account's event feed: in pages, or as a stream that never ends. */

import { createRoute, z } from "@hono/zod-openapi";
import { EVENT_TYPES, EventType } from "../contract/event-type.ts";
import type { LogEvent } from "../contract/job.ts";
import { wantsEvents } from "../http/accept.ts";
import { requires, unwrapForCaller } from "../http/authenticate.ts";
import { newRouter } from "../http/router.ts";
import { accountOf } from "../objects.ts";
import { EventList, FeedStream } from "../schema/feed.ts";
import { eventWire } from "../schema/feed-wire.ts";
import { type OpenLog, openAfter } from "../stream/follower.ts";
import { lastResult } from "../stream/last-result.ts";
import {
	EVENT_STREAM_HEADERS,
	eventStream,
	frame,
} from "../stream/sse-writer.ts";
import { problems } from "./failures.ts";
import { originOf, Seq, startOf } from "./kit.ts";

export const feed = newRouter();

const Types = z
	.string()
	.transform((text) => text.split(","))
	.pipe(z.array(EventType))
	.openapi({
		type: "string",
		description: `Only events of these types, with commas between them: ${EVENT_TYPES.join(", ")}`,
		example: "job.succeeded,job.failed",
	});

feed.openapi(
	createRoute({
		method: "get",
		path: "/",
		operationId: "listEvents",
		summary: "The account's events, oldest first",
		description:
			"Each has a number, 1, 2, 3, …: one that is missing was missed. Kept for 30 days. With " +
			"`Accept: text/event-stream` the same events as server-sent events, for ever: `id:` is the " +
			"number, and `Last-Event-ID` goes on from there (the query wins). A comment, one line " +
			"ahead of the next event, comes every 10 s. Not for keys with `origins`: what such a key " +
			"made is in its jobs and uploads.",
		...requires("jobs:read"),
		request: {
			query: z.strictObject({
				after: Seq.optional().openapi({
					description:
						"Number of the last event already seen; from the oldest that is kept when left out",
					example: "41",
				}),
				limit: z.coerce.number().int().min(1).max(1000).default(100),
				types: Types.optional(),
			}),
			headers: z.object({
				"last-event-id": z.string().optional().openapi({ example: "41" }),
			}),
		},
		responses: {
			200: {
				description: "A page of events, or all from there on",
				content: {
					"application/json": { schema: EventList },
					"text/event-stream": {
						schema: FeedStream,
					},
				},
			},
			...problems(
				400,
				401,
				429,
				"bound_key",
				"events_gone",
				"too_many_readers",
			),
		},
	}),
	async (c) => {
		const { id, account, credential } = c.var.caller;
		const { after, limit, types = null } = c.req.valid("query");
		const streams = wantsEvents(c.req.header("Accept"));
		const from = startOf(
			after,
			streams ? c.req.header("Last-Event-ID") : undefined,
		);
		const origin = originOf(c);
		const page = unwrapForCaller(
			c,
			await account.events(credential, from, streams ? 1 : limit, types),
		);
		if (!streams)
			return c.json(
				{
					data: page.events.map((event) => eventWire(id, event, origin)),
					next_cursor: page.upTo < page.lastSeq ? String(page.upTo) : null,
					last_seq: page.lastSeq,
				},
				200,
			);
		const open: OpenLog = (seq) =>
			accountOf(c.env, id).fetch(`http://account/feed?after=${seq}`, {
				headers: { Upgrade: "websocket" },
			});
		const opening = await openAfter(open, page.after);
		if (opening.state !== "open")
			throw new Error(`the feed is ${opening.state} after ${page.after}`);
		const stream = eventStream({
			follow: opening.follow,
			signal: c.req.raw.signal,
			frame: (event) =>
				types && !types.includes(event.type as EventType)
					? ""
					: frameOf(event, id, origin),
		});
		return new Response(stream, { headers: EVENT_STREAM_HEADERS });
	},
);

/** The same for all readers of an account who call the API by one origin. */
const frameOf = lastResult(
	(event: LogEvent, account: string, origin: string): string =>
		frame({
			...event,
			data: JSON.stringify(eventWire(account, JSON.parse(event.data), origin)),
		}),
);
