/** Who calls as an operator, and what operators do. */
import type { Context } from "hono";
import { createMiddleware } from "hono/factory";
import { equalInConstantTime } from "../crypto.ts";
import { config } from "../env.ts";
import { ApiError, unwrap } from "../errors.ts";
import { directoryOf } from "../objects.ts";
import { addressOf, bearer } from "./authenticate.ts";
import type { App } from "./router.ts";

/** A body that is longer is noted as too long. */
const MAX_NOTED = 2_048;

/**
 * Lets operators in by the admin secret, and notes each of their writes in the Directory: before it
 * is done, and how it ended.
 * @throws ApiError `invalid_admin_secret`, `rate_limited`; `not_found` on a deployment that has no
 * admin secret
 */
export const authenticateOperator = createMiddleware<App>(async (c, next) => {
	const { ADMIN_SECRET } = config(c.env);
	admit(c, ADMIN_SECRET, [ADMIN_SECRET]);
	if (c.req.method === "GET") return next();
	const directory = directoryOf(c.env);
	const { seq } = unwrap(
		await directory.beginAct({
			method: c.req.method,
			path: c.req.path,
			ip: addressOf(c),
			requestId: c.get("requestId"),
		}),
	);
	await next();
	await directory.endAct(seq, c.res.status, await notedBody(c));
});

/**
 * Lets in who may only look: by the admin secret, or by the one for reading.
 * @throws ApiError as `authenticateOperator`
 */
export const authenticateReader = createMiddleware<App>(async (c, next) => {
	const { ADMIN_SECRET, ADMIN_READ_SECRET } = config(c.env);
	admit(c, ADMIN_SECRET ?? ADMIN_READ_SECRET, [
		ADMIN_SECRET,
		ADMIN_READ_SECRET,
	]);
	await next();
});

function admit(
	c: Context<App>,
	isOpen: string | undefined,
	secrets: (string | undefined)[],
): void {
	if (!isOpen) throw new ApiError({ code: "not_found" });
	const given = bearer(c) ?? "";
	// All are compared, so that the time tells nothing.
	const fits = secrets.filter(
		(secret) => secret !== undefined && equalInConstantTime(given, secret),
	);
	if (fits.length === 0) throw new ApiError({ code: "invalid_admin_secret" });
}

/** What the call asked for, as JSON text. */
async function notedBody(c: Context<App>): Promise<string | null> {
	const body = await c.req.json().catch(() => null);
	if (body === null) return null;
	const text = JSON.stringify(body);
	return text.length <= MAX_NOTED ? text : JSON.stringify("too long to note");
}
