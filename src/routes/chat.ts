/** OpenAI's chat completions: each is a job, created as any other. */
import { createRoute, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { LogEvent } from "../contract/job.ts";
import { requires } from "../http/authenticate.ts";
import { body } from "../http/body.ts";
import { type App, newRouter } from "../http/router.ts";
import {
	Completion,
	CompletionChunks,
	type CompletionFailure,
	type CompletionHead,
} from "../openai/completion.ts";
import { retryHeaders } from "../openai/error.ts";
import {
	ChatCompletion,
	ChatCompletionChunk,
	ChatRequest,
	ChatStream,
	COMPLETION,
} from "../schema/chat.ts";
import { JOB_BODY_LIMIT } from "../schema/job.ts";
import { PRICE_HEADERS, priceHeaders } from "../schema/price.ts";
import { OpenAIError } from "../schema/problem.ts";
import {
	type Follow,
	type Follower,
	openFromStart,
	openJobLog,
} from "../stream/follower.ts";
import {
	cancelableDelay,
	closeArguments,
	DELAYED_JSON_HEADERS,
	delayedJson,
	Presence,
	WRITE_EVERY_MS,
} from "../stream/presence.ts";
import { EVENT_STREAM_HEADERS, eventStream } from "../stream/sse-writer.ts";
import { jobInputOfChat } from "../submit/chat-request.ts";
import { createJob } from "../submit/create-job.ts";
import { JOB_REQUEST_FAILURES, openaiErrors } from "./failures.ts";
import { jobName } from "./job-name.ts";
import { replayed, retryCount } from "./kit.ts";

export const chat = newRouter();

// No route's schema names what `data:` holds.
chat.openAPIRegistry.register("ChatCompletionChunk", ChatCompletionChunk);

const headers = z.object({
	"X-Job-Id": z.string().openapi({
		description: "The job: GET /v1/jobs/{id} shows it, with its price",
		example: "01JD8Z6Q3V9Y4K2M7N5P8R1S3T",
	}),
	...PRICE_HEADERS,
	"Idempotent-Replayed": replayed,
});

chat.openapi(
	createRoute({
		method: "post",
		path: "/completions",
		operationId: "createChatCompletion",
		summary: "Ask as OpenAI's clients do",
		description:
			"A job, answered in OpenAI's shapes; the id is `chatcmpl-<job id>`. Images are `image_url` " +
			"parts (`https:`, `data:`, or the id of an upload) or `file` parts with the id of an " +
			"upload. Parameters that this API does not have are refused by name (400), except with a " +
			"value without effect: null, empty, `false` or 0. Members that clients attach to an answer " +
			"and send back are ignored. Hanging up cancels the job within two seconds, at the price of " +
			"what was written, unless the call is repeated by then. So that the API notices it, the " +
			"response starts as 200 at most one second after the call: a stream with its first chunk, " +
			"any other with spaces until the JSON is ready. A call that is refused, or whose job fails " +
			"by then, has the status of the failure. If the job fails later, the error object is the " +
			"last event of the stream, or the body, which then has `error` and no `choices`.",
		...requires("jobs:write", jobName, body({ limit: JOB_BODY_LIMIT })),
		request: {
			headers: z.object({
				"idempotency-key": z
					.string()
					.optional()
					.openapi({
						description:
							"The same request again under the same key answers the same, streamed or not, and " +
							"costs nothing; 1 to 255 visible ASCII characters",
						example: "7f0c1f0e-5b0a-4e0c-9a54-2f6f5b1e2c11",
					}),
				"x-stainless-retry-count": retryCount,
			}),
			body: {
				required: true,
				content: { "application/json": { schema: ChatRequest } },
			},
		},
		responses: {
			200: {
				description:
					"The completion, or its chunks and `[DONE]`; or the error of a job that failed after " +
					"its answer began",
				headers,
				content: {
					"application/json": {
						schema: z.union([ChatCompletion, OpenAIError]),
						example: COMPLETION,
					},
					"text/event-stream": { schema: ChatStream },
				},
			},
			...openaiErrors(
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
				502,
				503,
				...JOB_REQUEST_FAILURES,
				"idempotency_conflict",
				"job_gone",
				"job_canceled",
				"job_expired",
				"backend_failed",
			),
		},
	}),
	async (c) => {
		const presence = new Presence();
		const { caller, jobName } = c.var;
		const request = c.req.valid("json");
		const input = jobInputOfChat(request, await c.req.json(), c.req);
		const { view, repeat } = await createJob(c, caller, input, jobName);
		c.header("X-Job-Id", view.id);
		if (repeat) c.header("Idempotent-Replayed", "true");

		const open = openJobLog(c.env, caller.id, view.id);
		const call: Call = {
			c,
			head: {
				id: `chatcmpl-${view.id}`,
				created: Math.floor(Date.parse(view.createdAt) / 1000),
				model: view.model,
			},
			completion: new Completion(input.turns.images.map(({ field }) => field)),
			follow: await openFromStart(open),
			presence,
			begin: cancelableDelay(
				presence.headerDelay(repeat && view.finishedAt === null),
			),
		};
		return request.stream
			? streamCompletion(call, request.stream_options?.include_usage ?? false)
			: sendCompletion(call);
	},
);

interface Call {
	c: Context<App>;
	head: CompletionHead;
	completion: Completion;
	follow: Follow;
	presence: Presence;
	/** When the answer begins, whatever is known by then. A later failure comes in the body. */
	begin: ReturnType<typeof cancelableDelay>;
}

/**
 * Follows the job until it ends. While it is followed, a client that hangs up ends the job.
 * @param taken gets each event first
 */
function followJob(
	{ c, completion, follow, presence }: Call,
	taken: (event: LogEvent) => void,
): { follower: Follower; leave: () => void; ended: Promise<void> } {
	const { promise: ended, resolve } = Promise.withResolvers<void>();
	const follower = follow({
		take(events) {
			for (const event of events) taken(event);
			if (completion.ended) resolve();
			return events.length;
		},
		onErased() {
			completion.erased();
			resolve();
		},
	});
	const leave = () => follower.close(...closeArguments(presence));
	const { signal } = c.req.raw;
	signal.addEventListener("abort", leave);
	if (signal.aborted) leave();
	return { follower, leave, ended };
}

async function streamCompletion(
	call: Call,
	includeUsage: boolean,
): Promise<Response> {
	const { c, head, completion, presence, begin } = call;
	const chunks = new CompletionChunks(head, completion, includeUsage);
	let opening = chunks.opening;
	const { promise: spoken, resolve: speaks } = Promise.withResolvers<void>();
	const { follower, ended } = followJob(call, (event) => {
		const text = chunks.of(event);
		opening += text;
		if (text) speaks();
	});
	await Promise.race([spoken, ended, begin.over]);
	begin.stop();
	if (completion.failed && completion.text === "")
		return respondWithError(c, completion.failed);
	const body = eventStream({
		follow(consumer) {
			if (completion.ended) return null;
			follower.replaceConsumer(consumer);
			return follower;
		},
		signal: c.req.raw.signal,
		frame: (event) => chunks.of(event),
		opening,
		prefix: "",
		erasedFrame: chunks.erased,
		pingMs: WRITE_EVERY_MS,
		presence,
	});
	return c.body(body, 200, EVENT_STREAM_HEADERS);
}

async function sendCompletion(call: Call): Promise<Response> {
	const { c, head, completion, presence, begin } = call;
	const { leave, ended } = followJob(call, (event) => completion.take(event));
	await Promise.race([ended, begin.over]);
	begin.stop();
	if (completion.failed) return respondWithError(c, completion.failed);
	if (completion.ended)
		return c.json(completion.toJSON(head), 200, priceHeaders(completion.usage));
	const json = ended.then(() => JSON.stringify(completion.toJSON(head)));
	const body = delayedJson(json, presence, leave);
	return c.body(body, 200, DELAYED_JSON_HEADERS);
}

const respondWithError = (
	c: Context<App>,
	{ code, status, error }: CompletionFailure,
): Response => c.json({ error }, status, retryHeaders(code));
