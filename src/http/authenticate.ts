/** Which account calls, by its key. */
import type { Context, MiddlewareHandler } from "hono";
import { createMiddleware } from "hono/factory";
import type { Account } from "../account/account.ts";
import { readKey } from "../api-key.ts";
import type { CallerResult, Credential } from "../contract/account.ts";
import { config } from "../env.ts";
import { ApiError, unwrap } from "../errors.ts";
import { accountOf } from "../objects.ts";
import type { Scope } from "../scopes.ts";
import type { App } from "./router.ts";

/** Who calls, as far as the key alone tells: the account checks whether the key may. */
export interface Caller {
	id: string;
	credential: Credential;
	account: DurableObjectStub<Account>;
}

/**
 * What each route that takes a key spreads into its definition: the one scope that it needs of the
 * key, for the Account and for the OpenAPI document, and the middleware that finds the caller.
 * @param more the route's other middleware
 */
export const requires = <More extends MiddlewareHandler[]>(
	scope: Scope,
	...more: More
): {
	security: [{ key: [Scope] }];
	middleware: [MiddlewareHandler<App>, ...More];
} => ({
	security: [{ key: [scope] }],
	middleware: [authenticate(scope), ...more],
});

/**
 * Comes first on every route that takes a key, before anything looks at query or body: a call
 * without a key of this API costs one HMAC for each server key, and calls no Durable Object. The
 * route finds its caller in `c.var.caller`.
 * @throws ApiError `missing_key`, `invalid_key`
 */
const authenticate = (scope: Scope) =>
	createMiddleware<App>(async (c, next) => {
		const key = bearer(c);
		if (!key) throw new ApiError({ code: "missing_key" });
		const signed = await readKey(config(c.env).KEY_SECRETS, key);
		if (!signed) throw new ApiError({ code: "invalid_key" });
		const { account, secretHash } = signed;
		c.set("caller", {
			id: account,
			credential: { secretHash, scope, origin: pageOf(c), ip: addressOf(c) },
			account: accountOf(c.env, account),
		});
		await next();
	});

/** The token of an `Authorization: Bearer` header, or null. */
export const bearer = (c: Context<App>): string | null =>
	/^Bearer ([^\s]+)$/i.exec(c.req.header("Authorization") ?? "")?.[1] ?? null;

/** The origin of the page that calls. A browser omits `Origin` where a page reads from its own. */
function pageOf(c: Context<App>): string | null {
	const origin = c.req.header("Origin");
	if (origin !== undefined) return origin;
	return c.req.header("Sec-Fetch-Site") === "same-origin"
		? new URL(c.req.url).origin
		: null;
}

/**
 * The caller's IP address. Cloudflare sets this header itself, whatever the caller sends. Elsewhere
 * a proxy has to; without one no key with `ip_ranges` works, as with `npm start`.
 */
export const addressOf = (c: Context<App>): string | null =>
	c.req.header("CF-Connecting-IP") ?? null;

/**
 * What the caller's account answered. Notes the limits for the response's headers, also where the
 * account refuses.
 * @throws ApiError with its failure
 */
export function unwrapForCaller<R extends CallerResult<object>>(
	c: Context<App>,
	result: R,
): Extract<R, { ok: true }> {
	if (result.limits) c.set("limits", result.limits);
	return unwrap(result);
}
