import type { Context } from "hono";
import { type Failure, wire } from "../errors.ts";
import { log } from "../log.ts";
import { errorOf, isModel, retrying, speaksOpenAI } from "../openai/error.ts";
import type { Problem } from "../schema/problem.ts";
import type { App } from "./router.ts";

const TITLES: Record<number, string> = {
	400: "Bad request",
	401: "Not authenticated",
	402: "Payment required",
	403: "Not allowed",
	404: "Not found",
	405: "Method not allowed",
	409: "Conflict",
	410: "Gone",
	413: "Too large",
	415: "Unsupported media type",
	422: "Unprocessable",
	429: "Too many",
	500: "Internal error",
	502: "Model failed",
	503: "Unavailable",
};

/** The problem details of a failure. */
export function problemOf(failure: Failure, request_id: string): Problem {
	const { status, detail } = wire(failure);
	return {
		...failure,
		type: `urn:minigpt4:error:${failure.code}`,
		title: TITLES[status] ?? "Error",
		status,
		detail,
		request_id,
	};
}

/** The response for a failure. What broke inside goes to the log under the request's id, not to the caller. */
export function problem(
	c: Context<App>,
	failure: Failure,
	cause?: Error,
): Response {
	const { status, detail } = wire(failure);
	const request_id = c.get("requestId");
	if (status >= 500)
		log("error", {
			request_id,
			code: failure.code,
			cause: cause?.stack ?? null,
		});
	const headers: Record<string, string> = {};
	if (status === 401) headers["WWW-Authenticate"] = "Bearer";
	if (status === 503) headers["Retry-After"] = "2";
	if (failure.code === "unsupported_encoding")
		headers["Accept-Encoding"] = "identity";
	if ("retry_after" in failure)
		headers["Retry-After"] = String(failure.retry_after);
	const { code } = failure;
	const field = "field" in failure ? failure.field : undefined;
	const error = errorOf({ status, code, message: detail, field });
	if (speaksOpenAI(c.req.path))
		return c.json({ error }, status, { ...headers, ...retrying(status, code) });
	const body: Problem = {
		...problemOf(failure, request_id),
		// The one native route that OpenAI's clients read.
		...(isModel(c.req.path) && { error }),
	};
	return c.body(JSON.stringify(body), status, {
		...headers,
		"Content-Type": "application/problem+json",
	});
}
