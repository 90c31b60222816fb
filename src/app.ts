/** The table of contents: middleware, routes, one onError. */
import { cors } from "hono/cors";
import { ApiError } from "./errors.ts";
import { allowedMethods } from "./http/allowed-methods.ts";
import { drainBody } from "./http/drain.ts";
import { problem } from "./http/problem.ts";
import {
	RATE_LIMIT_HEADERS,
	rateLimitHeaders,
} from "./http/rate-limit-headers.ts";
import { requestLog } from "./http/request-log.ts";
import { newRouter } from "./http/router.ts";
import { account } from "./routes/account.ts";
import { acts } from "./routes/acts.ts";
import { admin } from "./routes/admin.ts";
import { billing } from "./routes/billing.ts";
import { chat } from "./routes/chat.ts";
import { consoleRoutes } from "./routes/console.ts";
import { docs } from "./routes/docs.ts";
import { events } from "./routes/events.ts";
import { feed } from "./routes/feed.ts";
import { files } from "./routes/files.ts";
import { health } from "./routes/health.ts";
import { jobs } from "./routes/jobs.ts";
import { keys } from "./routes/keys.ts";
import { ledger } from "./routes/ledger.ts";
import { metrics } from "./routes/metrics.ts";
import { models } from "./routes/models.ts";
import { openapi } from "./routes/openapi.ts";
import { page } from "./routes/page.ts";
import { pools } from "./routes/pools.ts";
import { quotes } from "./routes/quotes.ts";
import { receipts } from "./routes/receipts.ts";
import { replicate } from "./routes/replicate.ts";
import { stripe } from "./routes/stripe.ts";
import { unsupported } from "./routes/unsupported.ts";
import { uploads } from "./routes/uploads.ts";
import { usage } from "./routes/usage.ts";
import { webhooks } from "./routes/webhooks.ts";

export const app = newRouter();

app.use(drainBody);
app.use(requestLog);
app.use(
	"/v1/*",
	cors({
		// Authority is in the key alone, never in a cookie, so any page may try; a key may be bound to
		// origins.
		origin: "*",
		// No list of what a page may send: the preflight allows what it asks for, so that any client's
		// own headers pass.
		allowMethods: ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
		exposeHeaders: [
			"X-Request-Id",
			"X-Job-Id",
			"X-Job-Price",
			"X-Job-Price-Parts",
			"Location",
			"Link",
			"Allow",
			"Retry-After",
			"WWW-Authenticate",
			"Preference-Applied",
			"Idempotent-Replayed",
			...RATE_LIMIT_HEADERS,
			"ETag",
			"Server-Timing",
		],
		maxAge: 86_400,
	}),
);

app.use("/v1/*", rateLimitHeaders);

app.route("/v1/jobs", jobs);
app.route("/v1/jobs", events);
app.route("/v1/quotes", quotes);
app.route("/v1/models", models);
app.route("/v1/uploads", uploads);
app.route("/v1/chat", chat);
app.route("/v1/files", files);
app.route("/v1", unsupported);
app.route("/v1/account", account);
app.route("/v1/billing", billing);
app.route("/v1/ledger", ledger);
app.route("/v1/usage", usage);
app.route("/v1/keys", keys);
app.route("/v1/events", feed);
app.route("/v1/webhooks", webhooks);
app.route("/admin", admin);
app.route("/admin/acts", acts);
app.route("/admin/pools", pools);
app.route("/internal/replicate", replicate);
app.route("/internal/stripe", stripe);
app.route("/", receipts);
app.route("/", health);
app.route("/", metrics);
openapi(app);
app.route("/console", consoleRoutes(app));
app.route("/docs", docs);
app.route("/", page);

app.notFound((c) => {
	const allowed = allowedMethods(app, c.req.path);
	if (allowed.length === 0) return problem(c, { code: "not_found" });
	const response = problem(c, { code: "method_not_allowed" });
	response.headers.set("Allow", allowed.join(", "));
	return response;
});
app.onError((error, c) =>
	error instanceof ApiError
		? problem(c, error.failure, error)
		: problem(c, { code: "internal_error" }, error),
);
