/**
 * Gives each request an id and a trace, writes the id and the time of each step to the response's
 * headers, and logs one line per request.
 */
import type { Context } from "hono";
import { createMiddleware } from "hono/factory";
import { routePath } from "hono/route";
import { newRequestId } from "../ids.ts";
import { logLine } from "../log.ts";
import { traceId, traceOf } from "../trace.ts";
import type { App } from "./router.ts";

/** The steps of a call that `Server-Timing` names. */
type Step = "auth" | "images" | "admit" | "start" | "read";

/** Milliseconds by step. */
export type Timings = Map<Step, number>;

/** A job or upload id. */
const ID = /(?:img_)?[0-7][0-9A-HJKMNP-TV-Z]{25}/;

export const requestLog = createMiddleware<App>(async (c, next) => {
	const started = Date.now();
	const requestId = newRequestId(started);
	const traceparent = traceOf(c.req.header("traceparent"));
	const timings: Timings = new Map();
	c.set("requestId", requestId);
	c.set("trace", traceparent);
	c.set("timings", timings);
	await next();
	c.res.headers.set("X-Request-Id", requestId);
	if (timings.size > 0) {
		const steps = Array.from(timings, ([step, ms]) => `${step};dur=${ms}`);
		c.res.headers.set("Server-Timing", steps.join(", "));
		// Pages of other origins may call the API, so they may read its timings.
		c.res.headers.set("Timing-Allow-Origin", "*");
	}
	logLine("request", {
		request_id: requestId,
		trace: traceId(traceparent),
		method: c.req.method,
		// The route's pattern, not the path: a mistyped path may hold anything, a key included.
		route: routePath(c, -1),
		id: ID.exec(c.req.path)?.[0] ?? null,
		status: c.res.status,
		ms: Date.now() - started,
	});
});

/** Adds the time of a step to the request's timings, also if the step fails. */
export async function timed<P extends PromiseLike<unknown>>(
	c: Context<App>,
	step: Step,
	work: P,
): Promise<Awaited<P>> {
	const started = Date.now();
	try {
		return await work;
	} finally {
		const timings = c.get("timings");
		timings.set(step, (timings.get(step) ?? 0) + Date.now() - started);
	}
}
