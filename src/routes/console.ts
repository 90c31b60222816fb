/**
 * The console: its page, signing in and out, and its calls. They are the API's own, made with the
 * session's key instead of one in a header.
 */
import type { OpenAPIHono } from "@hono/zod-openapi";
import { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { deleteCookie, getCookie, setCookie } from "hono/cookie";
import { createMiddleware } from "hono/factory";
import { sha256 } from "../crypto.ts";
import { config } from "../env.ts";
import { ApiError, unwrap } from "../errors.ts";
import { readJson, SMALL_BODY } from "../http/body.ts";
import { type App, invalidRequest, newRouter } from "../http/router.ts";
import { directoryOf } from "../objects.ts";
import { accountOfPerson } from "../session/account-of.ts";
import { isLinkCode } from "../session/link-code.ts";
import {
	type Attempt,
	authorizationUrl,
	personOf,
} from "../session/provider.ts";
import { open, seal } from "../session/seal.ts";
import {
	beginSession,
	endSession,
	sessionKey,
	TOKEN_HEADER,
} from "../session/session.ts";
import { originOf } from "./kit.ts";
import { file, SELF } from "./page.ts";

/** How long somebody may be at the provider. */
const ATTEMPT_SECONDS = 600;
const ATTEMPT_COOKIE = "sign-in";

const SignIn = z.strictObject({
	/** SHA-256 of the token that the page keeps, hex. */
	token: z.string().regex(/^[0-9a-f]{64}$/),
	/** The code of a link that signs in once. */
	link: z.string().min(1).max(256).optional(),
});

type SealedAttempt = Attempt & Pick<z.infer<typeof SignIn>, "token">;

/** A call of a page of ours. Of another's pages, a browser names the origin. */
const sameOrigin = createMiddleware<App>(async (c, next) => {
	if (c.req.header("Origin") !== originOf(c))
		throw new ApiError({ code: "session_not_bound" });
	await next();
});

const callbackOf = (c: Context<App>): string =>
	`${originOf(c)}/console/callback`;

/** @throws ApiError `sign_in_off` */
function providerOf(c: Context<App>) {
	const { OIDC } = config(c.env);
	if (!OIDC) throw new ApiError({ code: "sign_in_off" });
	return OIDC;
}

/** @param app answers the console's calls */
export function consoleRoutes(app: OpenAPIHono<App>) {
	const routes = newRouter();

	routes.get("/", (c) => file(c, "/console/", SELF));

	routes.post("/sign-in", sameOrigin, async (c) => {
		const body = SignIn.safeParse(await readJson(c, SMALL_BODY));
		if (!body.success) throw invalidRequest(body.error);
		const { token, link } = body.data;
		c.header("Cache-Control", "no-store");
		if (link !== undefined) {
			if (!(await isLinkCode(config(c.env).KEY_SECRETS, link)))
				throw new ApiError({ code: "sign_in_link_used" });
			const used = await directoryOf(c.env).useLink(await sha256(link));
			await beginSession(c, unwrap(used).account, token);
			return c.json({ url: null });
		}
		const provider = providerOf(c);
		const { url, attempt } = await authorizationUrl(
			config(c.env),
			provider,
			callbackOf(c),
		);
		const sealed = await seal<SealedAttempt>(
			config(c.env).KEY_SECRETS[0] as string,
			"sign-in",
			{ ...attempt, token },
			ATTEMPT_SECONDS,
			Date.now(),
		);
		setCookie(c, ATTEMPT_COOKIE, sealed, {
			prefix: "host",
			secure: true,
			path: "/",
			httpOnly: true,
			// The provider's page leads back here, and the browser has to send it then.
			sameSite: "Lax",
			maxAge: ATTEMPT_SECONDS,
		});
		return c.json({ url: url.href });
	});

	// What goes wrong here is shown by the page, in words.
	routes.get("/callback", async (c) => {
		c.header("Cache-Control", "no-store");
		c.header("Referrer-Policy", "no-referrer");
		try {
			await signInFromCallback(c);
			return c.redirect("/console", 303);
		} catch (error) {
			if (!(error instanceof ApiError)) throw error;
			return c.redirect(`/console?error=${error.failure.code}`, 303);
		}
	});

	routes.post("/sign-out", sameOrigin, async (c) => {
		await endSession(c);
		return c.body(null, 204);
	});

	routes.all("/v1/*", async (c) => {
		if (!["GET", "HEAD"].includes(c.req.method))
			await sameOrigin(c, async () => {});
		const key = await sessionKey(c);
		const url = new URL(c.req.url);
		url.pathname = url.pathname.replace("/console", "");
		const request = new Request(url, c.req.raw);
		request.headers.delete("Cookie");
		request.headers.delete(TOKEN_HEADER);
		request.headers.set("Authorization", `Bearer ${key}`);
		const response = await app.fetch(request, c.env, c.executionCtx);
		c.header("Cache-Control", "no-store");
		return c.newResponse(response.body, response);
	});

	return routes;
}

/**
 * Completes a sign-in at the provider. The attempt's cookie ends with this, so that the address
 * works once, and in the browser that began alone.
 * @throws ApiError `sign_in_failed`, `sign_in_denied`, `provider_unreachable`
 */
async function signInFromCallback(c: Context<App>): Promise<void> {
	const provider = providerOf(c);
	const settings = config(c.env);
	const sealed = getCookie(c, ATTEMPT_COOKIE, "host");
	deleteCookie(c, ATTEMPT_COOKIE, { prefix: "host", secure: true, path: "/" });
	const attempt =
		sealed &&
		(await open<SealedAttempt>(
			settings.KEY_SECRETS,
			"sign-in",
			sealed,
			Date.now(),
		));
	if (!attempt) throw new ApiError({ code: "sign_in_failed" });
	const { person, name } = await personOf(
		settings,
		provider,
		callbackOf(c),
		new URL(c.req.url),
		attempt,
	);
	const account = await accountOfPerson(
		c.env,
		person,
		name,
		settings.WELCOME_CREDIT,
	);
	await beginSession(c, account, attempt.token);
}
