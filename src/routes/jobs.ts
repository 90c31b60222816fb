/** Jobs: create one, look at one, list them, cancel one, delete one. */

import { createRoute, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { ApiError } from "../errors.ts";
import { wantsEvents } from "../http/accept.ts";
import { requires, unwrapForCaller } from "../http/authenticate.ts";
import { body } from "../http/body.ts";
import { problemOf } from "../http/problem.ts";
import { type App, newRouter } from "../http/router.ts";
import { logLine } from "../log.ts";
import { jobOf } from "../objects.ts";
import { EventStream } from "../schema/event.ts";
import { JOB_BODY_LIMIT, Job, JobList, JobRequest } from "../schema/job.ts";
import { jobWire, summaryWire } from "../schema/job-wire.ts";
import { PRICE_HEADERS, priceHeaders } from "../schema/price.ts";
import { openFromStart, openJobLog } from "../stream/follower.ts";
import {
	cancelableDelay,
	DELAYED_JSON_HEADERS,
	delayedJson,
	Presence,
} from "../stream/presence.ts";
import {
	EVENT_STREAM_HEADERS,
	eventStream,
	waitForDone,
} from "../stream/sse-writer.ts";
import { type CreatedJob, createJob } from "../submit/create-job.ts";
import { type JobInput, jobInputOf, preferredWait } from "../submit/request.ts";
import {
	JOB_REQUEST_FAILURES,
	PREVIOUS_JOB_FAILURES,
	problems,
} from "./failures.ts";
import { jobName } from "./job-name.ts";
import {
	JOB_PARAMS,
	json,
	originOf,
	pageLimit,
	replayed,
	retryCount,
} from "./kit.ts";
import { askJob } from "./read-job.ts";

export const jobs = newRouter();

const requestHeaders = {
	prefer: z.string().optional().openapi({
		description: "`wait=n`: wait up to n seconds, at most 60, for the end",
		example: "wait=30",
	}),
	"start-within": z
		.string()
		.optional()
		.openapi({
			description:
				"If the job has not started by then, it becomes `expired` and costs nothing: 5 s to " +
				"24 h, one hour without this header",
			example: "90s",
		}),
	"cancel-after": z.string().optional().openapi({
		description:
			"If the job has not ended by then, it is canceled, as by a call: 5 s to 24 h",
		example: "15m",
	}),
};
const idempotencyKey = z.string().optional().openapi({
	description:
		"1 to 255 visible ASCII characters that name the job for 30 days, such as a UUID",
	example: "7f0c1f0e-5b0a-4e0c-9a54-2f6f5b1e2c11",
});
const location = z.object({
	Location: z.url().openapi({ description: "The job" }),
	...PRICE_HEADERS,
	"Idempotent-Replayed": replayed,
});
const created = {
	200: {
		description:
			"The job, if it has ended or its name is in use; or its events",
		headers: location,
		content: { ...json(Job), "text/event-stream": { schema: EventStream } },
	},
	202: {
		description: "The job, accepted",
		headers: location,
		content: json(Job),
	},
	...problems(
		400,
		401,
		402,
		404,
		409,
		410,
		413,
		415,
		422,
		429,
		503,
		...JOB_REQUEST_FAILURES,
		...PREVIOUS_JOB_FAILURES,
		"bound_key",
		"id_conflict",
		"idempotency_conflict",
	),
};

jobs.openapi(
	createRoute({
		method: "post",
		path: "/",
		operationId: "createJob",
		summary: "Ask about images",
		description:
			"Answers 202 at once. With `Accept: text/event-stream` the events stream from this call, " +
			"as from `/v1/jobs/{id}/events`; with `Prefer: wait=n` it waits up to n seconds (at most " +
			"60) and answers 200 if the job ended by then. If `on_disconnect` is `cancel`, the " +
			"response starts after one second as 202 and sends spaces until the JSON is ready, so that " +
			"the API notices a client that disconnects. With an `Idempotency-Key` it may be repeated " +
			"safely: the same request again answers the same job, as it is then, and its events from " +
			"the first on; another request under the same key is refused (409). A member that is null " +
			"or empty counts as left out.",
		...requires("jobs:write", jobName, body({ limit: JOB_BODY_LIMIT })),
		request: {
			headers: z.object({
				...requestHeaders,
				"idempotency-key": idempotencyKey,
				"x-stainless-retry-count": retryCount,
			}),
			body: { required: true, content: json(JobRequest) },
		},
		responses: created,
	}),
	async (c) => {
		const presence = new Presence();
		const { caller, jobName } = c.var;
		const input = jobInputOf(c.req.valid("json"), await c.req.json(), c.req);
		const job = await createJob(c, caller, input, jobName);
		return respond(c, job, input, presence);
	},
);

jobs.openapi(
	createRoute({
		method: "put",
		path: "/{id}",
		operationId: "putJob",
		summary: "Ask about images, under an id of your own",
		description:
			"As POST, for a job whose id you choose: a ULID, unique in your account. However often it " +
			"is sent, one job runs and one is paid for. The same request again answers the job as it " +
			"is then; another request under the same id is refused (409), and so is one whose job was " +
			"deleted or expired (410).",
		...requires("jobs:write", jobName, body({ limit: JOB_BODY_LIMIT })),
		request: {
			params: JOB_PARAMS,
			headers: z.object(requestHeaders),
			body: { required: true, content: json(JobRequest) },
		},
		responses: created,
	}),
	async (c) => {
		const presence = new Presence();
		const { caller, jobName } = c.var;
		const input = jobInputOf(c.req.valid("json"), await c.req.json(), c.req);
		const job = await createJob(c, caller, input, jobName);
		return respond(c, job, input, presence);
	},
);

jobs.openapi(
	createRoute({
		method: "get",
		path: "/{id}",
		operationId: "getJob",
		summary: "A job, with its text so far",
		...requires("jobs:read"),
		request: { params: JOB_PARAMS },
		responses: {
			200: { description: "The job", content: json(Job) },
			...problems(401, 404, 410, 429, "job_not_found", "job_gone"),
		},
	}),
	async (c) => {
		const { id } = c.req.valid("param");
		const view = await askJob(c, id, (job) => job.view());
		return c.json(jobWire(view, originOf(c)), 200);
	},
);

jobs.openapi(
	createRoute({
		method: "get",
		path: "/",
		operationId: "listJobs",
		summary: "The account's jobs, newest first",
		description: "Without those that were deleted or expired.",
		...requires("jobs:read"),
		request: {
			query: z.strictObject({
				cursor: z.string().min(1).max(64).optional(),
				limit: pageLimit,
			}),
		},
		responses: {
			200: { description: "A page of jobs", content: json(JobList) },
			...problems(400, 401, 429),
		},
	}),
	async (c) => {
		const { cursor = null, limit } = c.req.valid("query");
		const { account, credential } = c.var.caller;
		const page = unwrapForCaller(
			c,
			await account.jobs(credential, { cursor, limit }),
		);
		return c.json(
			{
				data: page.jobs.map((row) => summaryWire(row, originOf(c))),
				next_cursor: page.nextCursor,
			},
			200,
		);
	},
);

jobs.openapi(
	createRoute({
		method: "post",
		path: "/{id}/cancel",
		operationId: "cancelJob",
		summary: "Cancel a job",
		description:
			"Free before the first token; after it the job costs its prompt, its images and the tokens " +
			"that were written. A job that has ended is answered as it is.",
		...requires("jobs:write"),
		request: { params: JOB_PARAMS },
		responses: {
			200: { description: "The job, ended", content: json(Job) },
			202: { description: "The job, ending", content: json(Job) },
			...problems(401, 404, 410, 429, "job_not_found", "job_gone"),
		},
	}),
	async (c) => {
		const { id } = c.req.valid("param");
		const view = await askJob(c, id, (job) => job.cancel());
		return c.json(jobWire(view, originOf(c)), view.finishedAt ? 200 : 202);
	},
);

jobs.openapi(
	createRoute({
		method: "delete",
		path: "/{id}",
		operationId: "deleteJob",
		summary: "Delete a job that has ended",
		description:
			"Its text, its request and the images that came along are erased. Its id stays taken (410 " +
			"from now on), and so do its price and time in the ledger.",
		...requires("jobs:write"),
		request: { params: JOB_PARAMS },
		responses: {
			204: { description: "Deleted" },
			...problems(401, 404, 409, 429, "job_not_found", "job_not_finished"),
		},
	}),
	async (c) => {
		const { account, credential } = c.var.caller;
		unwrapForCaller(
			c,
			await account.eraseJob(credential, c.req.valid("param").id),
		);
		return c.body(null, 204);
	},
);

/** What creation answers: the job's events, the job after a while, or the job. */
async function respond(
	c: Context<App>,
	{ view, repeat }: CreatedJob,
	{ onDisconnect }: JobInput,
	presence: Presence,
) {
	const { id: owner } = c.var.caller;
	const origin = originOf(c);
	const headers: Record<string, string> = {
		Location: `${origin}/v1/jobs/${view.id}`,
		...(repeat && { "Idempotent-Replayed": "true" }),
	};
	const open = openJobLog(c.env, owner, view.id);
	const { signal } = c.req.raw;

	if (wantsEvents(c.req.header("Accept"))) {
		const follow = await openFromStart(open);
		return new Response(eventStream({ follow, signal }), {
			headers: { ...headers, ...EVENT_STREAM_HEADERS },
		});
	}

	const wait = preferredWait(c.req.header("Prefer"));
	if (wait === null) {
		const job = jobWire(view, origin);
		const all = { ...headers, ...pricedIn(job) };
		return c.json(job, repeat ? 200 : 202, all);
	}
	headers["Preference-Applied"] = `wait=${wait}`;
	const follow = await openFromStart(open);
	const now = async () => {
		const present = await jobOf(c.env, owner, view.id).view();
		// Another call erased the job meanwhile.
		if (!present) throw new ApiError({ code: "job_gone" });
		return jobWire(present, origin);
	};
	const answer = async (done: boolean) => {
		const job = await now();
		return c.json(job, done ? 200 : 202, { ...headers, ...pricedIn(job) });
	};
	if (onDisconnect === "continue")
		return answer(await waitForDone(follow, wait * 1000, signal));

	const left = new AbortController();
	const gone = AbortSignal.any([signal, left.signal]);
	const waiting = waitForDone(follow, wait * 1000, gone, presence);
	const begin = cancelableDelay(
		presence.headerDelay(repeat && view.finishedAt === null),
	);
	const done = await Promise.race([waiting, begin.over]);
	begin.stop();
	if (done !== undefined) return answer(done);
	const requestId = c.get("requestId");
	const body = waiting.then(now).catch((error): object => {
		if (error instanceof ApiError) return problemOf(error.failure, requestId);
		logLine("error", { request_id: requestId, cause: String(error?.stack) });
		return problemOf({ code: "internal_error" }, requestId);
	});
	const text = body.then((value) => JSON.stringify(value));
	return new Response(
		delayedJson(text, presence, () => left.abort()),
		{ status: 202, headers: { ...headers, ...DELAYED_JSON_HEADERS } },
	);
}

/** The price of a job that is settled, as headers. */
const pricedIn = ({ price, price_parts }: Job) =>
	price === null || price_parts === null
		? {}
		: priceHeaders({ price, price_parts });
