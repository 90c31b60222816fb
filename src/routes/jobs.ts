/** Jobs: create one, look at one, list them. */
import { createRoute, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { createMiddleware } from "hono/factory";
import { body } from "../body.ts";
import { type Caller, caller } from "../caller.ts";
import { config } from "../env.ts";
import { ApiError, unwrap } from "../errors.ts";
import { newJobId } from "../ids.ts";
import { discard, intake } from "../images/intake.ts";
import type { JobView } from "../job/contract.ts";
import { opener } from "../job/follow.ts";
import {
	bodyHash,
	checkFits,
	preferredWait,
	promptOf,
	samplingOf,
} from "../job/request.ts";
import { EVENT_STREAM_HEADERS, eventStream, untilDone } from "../job/stream.ts";
import { defaultModel, modelOf, type ServedModel } from "../models.ts";
import { type App, newRouter } from "../router.ts";
import {
	JOB_BODY_LIMIT,
	Job,
	JobList,
	JobRequest,
	type JobRequest as JobRequested,
} from "../schema/job.ts";
import { jobOf, summaryOf } from "./job-wire.ts";
import { problems } from "./problems.ts";

export const jobs = newRouter();

/** Before the body is read: a call without a key of ours costs nothing. */
const keyed = createMiddleware<App>(async (c, next) => {
	await caller(c);
	await next();
});

const json = <S extends z.ZodType>(schema: S) => ({
	"application/json": { schema },
});
const location = z.object({
	Location: z.url().openapi({ description: "The job" }),
});

jobs.openapi(
	createRoute({
		method: "post",
		path: "/",
		summary: "Ask about images",
		description:
			"Answers 202 at once. With `Accept: text/event-stream` the events stream from this call, as from `/v1/jobs/{id}/events`; with `Prefer: wait=n` it waits up to n seconds (at most 60) and answers 200 if the job ended by then.",
		middleware: [keyed, body({ limit: JOB_BODY_LIMIT })] as const,
		request: {
			headers: z.object({
				prefer: z.string().optional().openapi({ example: "wait=30" }),
			}),
			body: { required: true, content: json(JobRequest) },
		},
		responses: {
			200: {
				description: "The job, ended; or its events",
				headers: location,
				content: {
					...json(Job),
					"text/event-stream": { schema: z.string() },
				},
			},
			202: {
				description: "The job, accepted",
				headers: location,
				content: json(Job),
			},
			...problems(400, 401, 402, 404, 409, 413, 415, 422, 503),
		},
	}),
	async (c) => {
		const { origin } = new URL(c.req.url);
		const known = await caller(c);
		const view = await create(c, known, c.req.valid("json"));
		const headers = { Location: `${origin}/v1/jobs/${view.id}` };
		const open = opener(c.env, known.id, view.id);

		if (/\btext\/event-stream\b/i.test(c.req.header("Accept") ?? ""))
			return new Response(
				eventStream(open, await open(0), 0, c.req.raw.signal),
				{ headers: { ...headers, ...EVENT_STREAM_HEADERS } },
			);

		const wait = preferredWait(c.req.header("Prefer"));
		if (wait === null) return c.json(jobOf(view, origin), 202, headers);
		const done = await untilDone(
			open,
			await open(0),
			wait * 1000,
			c.req.raw.signal,
		);
		const now = (await jobStub(c, known, view.id).view()) ?? view;
		return c.json(jobOf(now, origin), done ? 200 : 202, {
			...headers,
			"Preference-Applied": `wait=${wait}`,
		});
	},
);

jobs.openapi(
	createRoute({
		method: "get",
		path: "/{id}",
		summary: "A job, with its text so far",
		middleware: keyed,
		request: { params: z.object({ id: z.string() }) },
		responses: {
			200: { description: "The job", content: json(Job) },
			...problems(401, 404, 410),
		},
	}),
	async (c) => {
		const { id } = c.req.valid("param");
		const known = await caller(c);
		unwrap(await known.account.lookup(known.secretHash, id));
		const view = await jobStub(c, known, id).view();
		if (!view) throw new ApiError({ code: "job_not_found" });
		return c.json(jobOf(view, new URL(c.req.url).origin), 200);
	},
);

jobs.openapi(
	createRoute({
		method: "get",
		path: "/",
		summary: "The account's jobs, newest first",
		middleware: keyed,
		request: {
			query: z.strictObject({
				cursor: z.string().min(1).max(64).optional(),
				limit: z.coerce.number().int().min(1).max(100).default(20),
			}),
		},
		responses: {
			200: { description: "A page of jobs", content: json(JobList) },
			...problems(400, 401),
		},
	}),
	async (c) => {
		const { cursor = null, limit } = c.req.valid("query");
		const { origin } = new URL(c.req.url);
		const { account, secretHash } = await caller(c);
		const page = unwrap(await account.jobs(secretHash, { cursor, limit }));
		return c.json(
			{
				data: page.jobs.map((row) => summaryOf(row, origin)),
				next_cursor: page.nextCursor,
			},
			200,
		);
	},
);

/** Admitted by the Account and claimed by the Job; no answer tells of a job before both are done. */
async function create(
	c: Context<App>,
	known: Caller,
	request: JobRequested,
): Promise<JobView> {
	const { models } = config(c.env);
	const model = request.model
		? modelOf(models, request.model)
		: defaultModel(models);
	checkFits(request, model);
	const images = await intake(c, known, request.images);
	const id = newJobId(Date.now());
	const admission = await admit(c, known, model, id, images).catch(
		async (error) => {
			await discard(c, known, images.stored);
			throw error;
		},
	);
	const started = await jobStub(c, known, id).start({
		account: known.id,
		id,
		model: model.id,
		prompt: promptOf(request),
		images: admission.images,
		sampling: samplingOf(request),
		metadata: request.metadata,
		cacheSalt: admission.cacheSalt,
		createdAt: admission.createdAt,
		maxPrice: model.price,
		expiresIn: 604_800,
		onDisconnect: "continue",
		startBy: Date.parse(admission.createdAt) + 3_600_000,
		endBy: Date.parse(admission.createdAt) + 6 * 3_600_000,
		cancelAt: null,
		trace: null,
	});
	return unwrap(started).view;
}

const admit = async (
	c: Context<App>,
	known: Caller,
	model: ServedModel,
	jobId: string,
	images: Awaited<ReturnType<typeof intake>>,
) =>
	unwrap(
		await known.account.admit({
			secretHash: known.secretHash,
			jobId,
			bodyHash: await bodyHash(await c.req.json(), images.sha256s),
			model: model.id,
			maxPrice: model.price,
			idempotencyKey: null,
			expiresIn: 604_800,
			inline: [],
			images: images.ids,
			fields: images.fields,
		}),
	);

const jobStub = (c: Context<App>, known: Caller, id: string) =>
	c.env.JOB.get(c.env.JOB.idFromName(`${known.id}/${id}`));
