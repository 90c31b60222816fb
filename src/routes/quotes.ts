/** Quotes: what a job is going to cost, before it runs. */
import { createRoute } from "@hono/zod-openapi";
import { createMiddleware } from "hono/factory";
import { ApiError } from "../errors.ts";
import { requires } from "../http/authenticate.ts";
import { body, isEmpty, mediaTypeOf } from "../http/body.ts";
import { type App, newRouter } from "../http/router.ts";
import { JOB_BODY_LIMIT, JobRequest } from "../schema/job.ts";
import { Quote, QuoteCounts } from "../schema/quote.ts";
import { quoteCounts, quoteJob } from "../submit/quote.ts";
import { jobInputOf } from "../submit/request.ts";
import { JSON_BODY, PREVIOUS_JOB_FAILURES, problems } from "./failures.ts";
import { json } from "./kit.ts";

export const quotes = newRouter();

const jobBody = body({ limit: JOB_BODY_LIMIT });

/** Reads a body, unless the query has counts. @throws ApiError */
const bodyUnlessCounts = createMiddleware<App>(async (c, next) => {
	if (Object.keys(c.req.query()).length === 0) return jobBody(c, next);
	if (mediaTypeOf(c) !== "" || !isEmpty(c))
		throw new ApiError({
			code: "invalid_request",
			field: "body",
			detail:
				"Send either the body of a job, or counts in the query, without a body and its " +
				"Content-Type.",
		});
	return next();
});

quotes.openapi(
	createRoute({
		method: "post",
		path: "/",
		operationId: "createQuote",
		summary: "What a job is going to cost",
		description:
			"Send the body of a job, and read what it costs at most and what it usually costs. It runs " +
			"nothing, holds nothing and costs nothing; it counts as a request. The same body with the " +
			"`quote` in it, sent to /v1/jobs within 15 minutes, is a job at these prices that never " +
			"costs more than `maximum`. A quote is for one job, and for the request that was quoted: " +
			"the same texts, images (the same bytes, or the same address) and settings, `quote`, " +
			"`max_price` and `on_disconnect` apart. A completion may have the quote of a job with the " +
			"same `messages` and `max_tokens`. Images are not looked at: a job may still be refused " +
			"for them, at no cost. Without a body, it quotes counts: `?model=…&prompt_tokens=…&" +
			"images=…&output_tokens=…`. Such a quote is for any one job of its model, and caps it as " +
			"`max_price` does.",
		...requires("jobs:write", bodyUnlessCounts),
		request: {
			query: QuoteCounts,
			body: { required: false, content: json(JobRequest) },
		},
		responses: {
			200: { description: "The quote", content: json(Quote) },
			...problems(
				...JSON_BODY,
				401,
				404,
				409,
				410,
				422,
				429,
				"context_length_exceeded",
				"max_price_too_low",
				"model_not_found",
				"upload_not_found",
				"upload_not_finalized",
				"image_in_use",
				"image_too_large",
				"url_refused",
				...PREVIOUS_JOB_FAILURES,
				"bound_key",
			),
		},
	}),
	async (c) => {
		const { caller } = c.var;
		const counts = c.req.valid("query");
		if (counts.prompt_tokens !== undefined)
			return c.json(await quoteCounts(c, caller, counts), 200);
		const input = jobInputOf(c.req.valid("json"), await c.req.json(), c.req);
		return c.json(await quoteJob(c, caller, input), 200);
	},
);
