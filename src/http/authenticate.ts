import type { Context } from "hono";
import { createMiddleware } from "hono/factory";
import type { Account } from "../account/account.ts";
import { readKey } from "../api-key.ts";
import type { Answer, Credential } from "../contract/account.ts";
import { config } from "../env.ts";
import { ApiError, unwrap } from "../errors.ts";
import { accountOf } from "../objects.ts";
import type { App } from "./router.ts";

/** Who calls, as far as the key alone tells; `account` has yet to confirm that the key exists and is not revoked. */
export interface Caller {
	id: string;
	credential: Credential;
	account: DurableObjectStub<Account>;
}

/** The token of an `Authorization: Bearer` header, or null. */
export function bearer(c: Context<App>): string | null {
	return (
		/^Bearer ([^\s]+)$/i.exec(c.req.header("Authorization") ?? "")?.[1] ?? null
	);
}

/**
 * The caller named by the request's key. Touches no object.
 * @throws ApiError `missing_key`, `invalid_key`
 */
export async function caller(c: Context<App>): Promise<Caller> {
	const key = bearer(c);
	if (!key) throw new ApiError({ code: "missing_key" });
	const known = await readKey(config(c.env).KEY_SECRETS, key);
	if (!known) throw new ApiError({ code: "invalid_key" });
	const { secretHash } = known;
	const origin = originOf(c);
	return {
		id: known.account,
		credential: origin === undefined ? secretHash : { secretHash, origin },
		account: accountOf(c.env, known.account),
	};
}

/** The origin of the page that calls. Browsers leave `Origin` out where a page only reads from its own. */
function originOf(c: Context<App>): string | undefined {
	const origin = c.req.header("Origin");
	if (origin !== undefined) return origin;
	return c.req.header("Sec-Fetch-Site") === "same-origin"
		? new URL(c.req.url).origin
		: undefined;
}

/** Before a body is read: a call without a key of ours costs nothing. */
export const keyed = createMiddleware<App>(async (c, next) => {
	await caller(c);
	await next();
});

/**
 * What an account answered, its limits noted for the response.
 * @throws ApiError with its failure
 */
export function answered<R extends Answer<object>>(
	c: Context<App>,
	answer: R,
): Extract<R, { ok: true }> {
	if (answer.limits) c.set("limits", answer.limits);
	return unwrap(answer);
}
