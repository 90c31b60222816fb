/** Every request gets an id and a trace; every response carries the id and where the time went; one log line tells how it went. */
import type { Context } from "hono";
import { createMiddleware } from "hono/factory";
import { routePath } from "hono/route";
import { newRequestId } from "../ids.ts";
import { log } from "../log.ts";
import { traceId, traceOf } from "../trace.ts";
import type { App } from "./router.ts";

/** What a call waits for: the caller's account, images, admission, the job's start, the job. */
type Step = "auth" | "images" | "admit" | "start" | "read";

/** Milliseconds. */
export type Timings = Map<Step, number>;

/** The id of a job or upload. */
const ID = /(?:img_)?[0-7][0-9A-HJKMNP-TV-Z]{25}/;

export const trace = createMiddleware<App>(async (c, next) => {
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
		// Pages of other origins may call the API, and so may know what they wait for.
		c.res.headers.set("Timing-Allow-Origin", "*");
	}
	log("request", {
		request_id: requestId,
		trace: traceId(traceparent),
		method: c.req.method,
		// Not the path: what is mistyped or guessed there may be anything.
		route: routePath(c, -1),
		id: ID.exec(c.req.path)?.[0] ?? null,
		status: c.res.status,
		ms: Date.now() - started,
	});
});

/** Notes how long a step took, also where it fails. */
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
