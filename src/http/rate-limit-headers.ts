/**
 * Writes the `RateLimit` headers (IETF draft 11) to each response for which the Account reported
 * its limits.
 */
import { createMiddleware } from "hono/factory";
import type { Limits } from "../contract/account.ts";
import type { App } from "./router.ts";

export const rateLimitHeaders = createMiddleware<App>(async (c, next) => {
	await next();
	const limits = c.get("limits");
	if (!limits) return;
	for (const [name, value] of Object.entries(rateLimitFields(limits)))
		c.res.headers.set(name, value);
});

/** As structured fields (RFC 9651): the quota of each policy, and how much of it remains. */
export const rateLimitFields = ({ requests, jobs }: Limits) => ({
	"RateLimit-Policy": [
		`"requests";q=${requests.quota};w=60`,
		`"jobs";q=${jobs.quota};qu="concurrent-requests"`,
	].join(", "),
	RateLimit: [
		`"requests";r=${requests.remaining};t=${requests.reset}`,
		`"jobs";r=${jobs.remaining}`,
	].join(", "),
});
