/** Every request gets an id; every response carries it; one log line tells how it went. */
import { createMiddleware } from "hono/factory";
import { newRequestId } from "./ids.ts";
import { log } from "./log.ts";
import type { App } from "./router.ts";

export const trace = createMiddleware<App>(async (c, next) => {
	const started = Date.now();
	const requestId = newRequestId(started);
	c.set("requestId", requestId);
	await next();
	c.res.headers.set("X-Request-Id", requestId);
	log("request", {
		request_id: requestId,
		method: c.req.method,
		// Paths hold ids only; queries may hold anything, so they stay out.
		path: c.req.path,
		status: c.res.status,
		ms: Date.now() - started,
	});
});
