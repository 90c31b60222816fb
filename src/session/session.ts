/**
 * A console session: an API key of the account that lives in a sealed cookie, and a token that
 * lives in the page's storage. Neither alone is of use: a cookie that is copied to another browser
 * lacks the token, and another site's page, whose calls the browser sends with the cookie, too.
 */
import type { Context } from "hono";
import { deleteCookie, getCookie, setCookie } from "hono/cookie";
import { issueKey, readKey } from "../api-key.ts";
import { equalInConstantTime, sha256 } from "../crypto.ts";
import { config } from "../env.ts";
import { ApiError, unwrap } from "../errors.ts";
import type { App } from "../http/router.ts";
import { accountOf } from "../objects.ts";
import { open, seal } from "./seal.ts";

/** A session ends after this time, whatever happens in it. */
const SESSION_SECONDS = 12 * 3_600;
/** The key's secret is replaced when it is as old. */
const ROTATE_SECONDS = 3_600;
/** Calls that are under way go on with the old secret. */
const ROTATION_GRACE_SECONDS = 60;
const COOKIE = "session";
/** The header that carries the page's token. */
export const TOKEN_HEADER = "X-Console-Token";
const KEY_NAME = "Console session";

interface Session {
	account: string;
	/** The id of the session's API key. */
	keyId: string;
	/** The API key. */
	key: string;
	/** SHA-256 of the page's token, hex. */
	token: string;
	/** When the session began, in seconds since 1970. */
	since: number;
}

/**
 * Begins a session.
 * @param token SHA-256 of the page's token, hex
 */
export async function beginSession(
	c: Context<App>,
	account: string,
	token: string,
): Promise<void> {
	// A browser has one session.
	await endSession(c);
	const now = Date.now();
	const [signer] = config(c.env).KEY_SECRETS as [string, ...string[]];
	const { key, secretHash } = await issueKey(signer, account);
	const created = unwrap(
		await accountOf(c.env, account).createKey({
			name: KEY_NAME,
			secretHash,
			expiresAt: now + SESSION_SECONDS * 1000,
		}),
	);
	const since = Math.floor(now / 1000);
	await keep(c, { account, keyId: created.key.id, key, token, since }, now);
}

/**
 * The API key of the session that this call belongs to. Gives the key a new secret now and then.
 * @throws ApiError `session_required`, `session_not_bound`
 */
export async function sessionKey(c: Context<App>): Promise<string> {
	const session = await current(c);
	if (!session) throw new ApiError({ code: "session_required" });
	const token = c.req.header(TOKEN_HEADER) ?? "";
	if (!equalInConstantTime(await sha256(token), session.token))
		throw new ApiError({ code: "session_not_bound" });
	return isStale(session) ? rotated(c, session) : session.key;
}

/** Ends the session of this browser, if there is one: its key is revoked. */
export async function endSession(c: Context<App>): Promise<void> {
	const session = await current(c);
	deleteCookie(c, COOKIE, { prefix: "host", secure: true, path: "/" });
	if (session) await accountOf(c.env, session.account).revokeKey(session.keyId);
}

type OpenSession = Session & { iat: number };

async function current(c: Context<App>): Promise<OpenSession | null> {
	const sealed = getCookie(c, COOKIE, "host");
	if (!sealed) return null;
	const { KEY_SECRETS } = config(c.env);
	return open<Session>(KEY_SECRETS, "session", sealed, Date.now());
}

const isStale = ({ iat }: OpenSession): boolean =>
	Date.now() / 1000 - iat > ROTATE_SECONDS;

/** Gives the session's key a new secret, once for calls that come at the same time. */
async function rotated(
	c: Context<App>,
	{ iat, ...session }: OpenSession,
): Promise<string> {
	const { KEY_SECRETS } = config(c.env);
	const [signer] = KEY_SECRETS as [string, ...string[]];
	const held = await readKey(KEY_SECRETS, session.key);
	if (!held) throw new ApiError({ code: "session_required" });
	const { key, secretHash } = await issueKey(signer, session.account);
	const result = await accountOf(c.env, session.account).rotateKey(
		{
			secretHash: held.secretHash,
			scope: "keys:admin",
			origin: null,
			ip: null,
		},
		session.keyId,
		{
			secretHash,
			grace: ROTATION_GRACE_SECONDS,
			name: await sha256(`session ${iat}`),
		},
	);
	if (!result.ok) throw new ApiError({ code: "session_required" });
	// Another call has the new secret, and brings the browser its cookie.
	if (result.isRepeat) return session.key;
	await keep(c, { ...session, key }, Date.now());
	return key;
}

async function keep(
	c: Context<App>,
	session: Session,
	now: number,
): Promise<void> {
	const [secret] = config(c.env).KEY_SECRETS as [string, ...string[]];
	const left = session.since + SESSION_SECONDS - Math.floor(now / 1000);
	setCookie(c, COOKIE, await seal(secret, "session", session, left, now), {
		prefix: "host",
		secure: true,
		path: "/",
		httpOnly: true,
		// The console's own calls are never cross-site.
		sameSite: "Strict",
		maxAge: left,
	});
}
