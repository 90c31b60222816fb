/** The `RateLimit` fields (IETF draft 11) on every answer that an account gave. */
import { createMiddleware } from "hono/factory";
import type { Limits } from "../contract/account.ts";
import type { App } from "./router.ts";

export const limits = createMiddleware<App>(async (c, next) => {
	await next();
	const known = c.get("limits");
	if (!known) return;
	for (const [name, value] of Object.entries(fields(known)))
		c.res.headers.set(name, value);
});

/** Structured fields (RFC 9651): lists of policies by name, their quotas and what is left of them. */
export const fields = ({ requests, jobs }: Limits) => ({
	"RateLimit-Policy": `"requests";q=${requests.quota};w=60, "jobs";q=${jobs.quota};qu="concurrent-requests"`,
	RateLimit: `"requests";r=${requests.remaining};t=${requests.reset}, "jobs";r=${jobs.remaining}`,
});
