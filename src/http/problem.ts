/** Turns a failure into a response: problem details, or an error in OpenAI's shape. */
import type { Context } from "hono";
import { type Failure, wire } from "../errors.ts";
import { FAILURES, STATUSES } from "../failures.ts";
import { logLine } from "../log.ts";
import { isModelPath, isOpenAIPath } from "../openai/endpoints.ts";
import { errorOfFailure, retryHeaders } from "../openai/error.ts";
import type { Problem } from "../schema/problem.ts";
import type { App } from "./router.ts";

/** The problem details of a failure. */
export function problemOf(failure: Failure, request_id: string): Problem {
	return {
		...failure,
		type: `urn:minigpt4:error:${failure.code}`,
		...wire(failure),
		request_id,
	};
}

/**
 * The response for a failure. The log has the cause, under the request's id; the caller has not.
 */
export function problem(
	c: Context<App>,
	failure: Failure,
	cause?: Error,
): Response {
	const { code } = failure;
	const { status } = FAILURES[code];
	const request_id = c.get("requestId");
	if (status >= 500)
		logLine("error", {
			request_id,
			code,
			cause: cause?.stack ?? null,
		});
	const headers: Record<string, string> = {
		...STATUSES[status].headers,
		...FAILURES[code].headers,
		...("retry_after" in failure && {
			"Retry-After": String(failure.retry_after),
		}),
	};
	const error = errorOfFailure(failure);
	if (isOpenAIPath(c.req.path))
		return c.json({ error }, status, { ...headers, ...retryHeaders(code) });
	const body: Problem = {
		...problemOf(failure, request_id),
		// The one native route that OpenAI's clients read.
		...(isModelPath(c.req.path) && { error }),
	};
	return c.body(JSON.stringify(body), status, {
		...headers,
		"Content-Type": "application/problem+json",
	});
}
