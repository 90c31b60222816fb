/**
 * Writes the `RateLimit` headers (IETF draft 11), and those by which OpenAI's clients know the
 * same, to each response for which the Account reported its limits.
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
export const rateLimitFields = ({ requests, tokens, jobs }: Limits) => ({
	"RateLimit-Policy": [
		`"requests";q=${requests.quota};w=60`,
		`"tokens";q=${tokens.quota};w=60;qu="tokens"`,
		`"jobs";q=${jobs.quota};qu="concurrent-requests"`,
	].join(", "),
	RateLimit: [
		`"requests";r=${requests.remaining};t=${requests.reset}`,
		`"tokens";r=${tokens.remaining};t=${tokens.reset}`,
		`"jobs";r=${jobs.remaining}`,
	].join(", "),
	"X-RateLimit-Limit-Requests": `${requests.quota}`,
	"X-RateLimit-Remaining-Requests": `${requests.remaining}`,
	"X-RateLimit-Reset-Requests": `${requests.reset}s`,
	"X-RateLimit-Limit-Tokens": `${tokens.quota}`,
	"X-RateLimit-Remaining-Tokens": `${tokens.remaining}`,
	"X-RateLimit-Reset-Tokens": `${tokens.reset}s`,
});

export const RATE_LIMIT_HEADERS = [
	"RateLimit-Policy",
	"RateLimit",
	...["Limit", "Remaining", "Reset"].flatMap((what) =>
		["Requests", "Tokens"].map((of) => `X-RateLimit-${what}-${of}`),
	),
];
