/** OpenAI's chat completions: each is a job, created as any other. */
import { createRoute, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { body } from "../body.ts";
import { caller, keyed } from "../caller.ts";
import { ApiError } from "../errors.ts";
import { opener } from "../job/follow.ts";
import { idempotencyKeyOf } from "../job/request.ts";
import { EVENT_STREAM_HEADERS, eventStream } from "../job/stream.ts";
import {
	chunks,
	completion,
	type Failed,
	type Head,
	Listener,
	lateCompletion,
} from "../openai/answer.ts";
import { askedOfChat } from "../openai/asked.ts";
import { retrying } from "../openai/error.ts";
import { type App, newRouter } from "../router.ts";
import {
	ChatCompletion,
	ChatCompletionChunk,
	ChatRequest,
} from "../schema/chat.ts";
import { ChatStream } from "../schema/chat-stream.ts";
import { JOB_BODY_LIMIT } from "../schema/job.ts";
import { createJob } from "./create-job.ts";
import { JOB_REQUEST_FAILURES } from "./failures.ts";
import { openaiErrors } from "./openai-errors.ts";

export const chat = newRouter();

// No schema of a route can say what `data:` is made of.
chat.openAPIRegistry.register("ChatCompletionChunk", ChatCompletionChunk);

/** For so long the status waits for what becomes of the job; after that it is 200, and a failure comes in the body. */
const STREAM_WITHIN_MS = 10_000;
/** Proxies that stand in between commonly take a minute of silence for a dead connection. */
const ANSWER_WITHIN_MS = 30_000;

const headers = z.object({
	"X-Job-Id": z.string().openapi({
		description: "The job: GET /v1/jobs/{id} shows it, with its price",
		example: "01JD8Z6Q3V9Y4K2M7N5P8R1S3T",
	}),
	"Idempotent-Replayed": z.literal("true").optional().openapi({
		description: "This key was known: nothing was created or charged again",
	}),
});

chat.openapi(
	createRoute({
		method: "post",
		path: "/completions",
		operationId: "createChatCompletion",
		summary: "Ask as OpenAI's clients do",
		description:
			"A job, answered in OpenAI's shapes; the id is `chatcmpl-<job id>`. Images are `image_url` parts (`https:`, `data:`, or the id of an upload) or `file` parts with the id of an upload. Parameters that this API does not have are refused by name (400), unless they ask for nothing. Hanging up cancels the job. An answer that takes more than 30 seconds begins as 200 with spaces, which keep the connection; should the job fail after that, the body is the error object. A stream begins after ten seconds at the latest; should the job fail after that, the last event is the error object.",
		middleware: [keyed, body({ limit: JOB_BODY_LIMIT })] as const,
		request: {
			headers: z.object({
				"idempotency-key": z.string().optional().openapi({
					description:
						"The same request again under the same key answers the same, streamed or not, and costs nothing; 1 to 255 visible ASCII characters",
					example: "7f0c1f0e-5b0a-4e0c-9a54-2f6f5b1e2c11",
				}),
			}),
			body: {
				required: true,
				content: { "application/json": { schema: ChatRequest } },
			},
		},
		responses: {
			200: {
				description: "The completion, or its chunks and `[DONE]`",
				headers,
				content: {
					"application/json": { schema: ChatCompletion },
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
		const known = await caller(c);
		const request = c.req.valid("json");
		const asked = askedOfChat(request, await c.req.json());
		const key = c.req.header("Idempotency-Key");
		const idempotencyKey = await idempotencyKeyOf(key);
		const name = { jobId: null, idempotencyKey };
		const { view, repeat } = await createJob(c, known, asked, name);
		c.header("X-Job-Id", view.id);
		if (repeat) c.header("Idempotent-Replayed", "true");

		const open = opener(c.env, known.id, view.id);
		const first = await open(0);
		if (first.status !== 101)
			throw new ApiError({
				code: first.status === 503 ? "too_many_readers" : "job_gone",
			});
		const { signal } = c.req.raw;
		const listener = new Listener(
			eventStream(open, first, 0, signal),
			asked.turns.images.map(({ field }) => field),
		);
		signal.addEventListener("abort", () => void listener.leave());
		const head: Head = {
			id: `chatcmpl-${view.id}`,
			created: Math.floor(Date.parse(view.createdAt) / 1000),
			model: view.model,
		};
		return request.stream
			? stream(c, head, listener, request.stream_options?.include_usage)
			: whole(c, head, listener);
	},
);

async function stream(
	c: Context<App>,
	head: Head,
	listener: Listener,
	includeUsage = false,
): Promise<Response> {
	const { over, stop } = after(STREAM_WITHIN_MS);
	const heard = await listener.peek(over);
	stop();
	if (heard?.type === "failed") return refused(c, heard.failed);
	const events = chunks(head, listener, includeUsage);
	return c.body(events, 200, EVENT_STREAM_HEADERS);
}

async function whole(
	c: Context<App>,
	head: Head,
	listener: Listener,
): Promise<Response> {
	const { over, stop } = after(ANSWER_WITHIN_MS);
	let content = "";
	for (;;) {
		const heard = await listener.peek(over);
		if (!heard)
			return c.body(lateCompletion(head, listener, content), 200, {
				"Content-Type": "application/json",
			});
		await listener.next();
		if (heard.type === "text") content += heard.text;
		if (heard.type === "whole" || heard.type === "failed") stop();
		if (heard.type === "failed") return refused(c, heard.failed);
		if (heard.type === "whole")
			return c.json(completion(head, content, heard), 200);
	}
}

const refused = (c: Context<App>, { status, error }: Failed): Response =>
	c.json({ error }, status, retrying(status, error.code));

function after(ms: number): { over: Promise<void>; stop: () => void } {
	let timer: ReturnType<typeof setTimeout> | undefined;
	const over = new Promise<void>((resolve) => {
		timer = setTimeout(resolve, ms);
	});
	return { over, stop: () => clearTimeout(timer) };
}
