/**
 * The caller's name for a job: an id in the path, or an `Idempotency-Key`. Comes before the body is
 * read: a call with an invalid name costs nothing. The route finds the name in `c.var.jobName`.
 */
import { createMiddleware } from "hono/factory";
import type { App } from "../http/router.ts";
import { idempotencyKeyOf, jobIdOf } from "../submit/request.ts";

/** @throws ApiError `invalid_request` */
export const jobName = createMiddleware<App>(async (c, next) => {
	const id = c.req.param("id");
	const key = c.req.header("Idempotency-Key");
	c.set(
		"jobName",
		id === undefined
			? { jobId: null, idempotencyKey: await idempotencyKeyOf(key) }
			: { jobId: jobIdOf(id), idempotencyKey: null },
	);
	await next();
});
