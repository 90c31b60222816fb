/** The playground: static files, each with a policy that allows what it does and nothing else. */
import type { Context } from "hono";
import { config } from "../env.ts";
import { ApiError } from "../errors.ts";
import { type App, newRouter } from "../http/router.ts";

export const page = newRouter();

export const NOTHING =
	"default-src 'none'; base-uri 'none'; form-action 'none'";

/** A page that runs its own scripts and talks to this deployment alone. */
export const SELF =
	`${NOTHING}; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; ` +
	"frame-ancestors 'none'";

/** The page runs its own scripts, talks to this API and PUTs large photos to the image store. */
const pagePolicy = (store: string): string =>
	`${NOTHING}; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src ` +
	`'self' ${store}; frame-src 'self'; frame-ancestors 'none'`;

/**
 * The frame that shows a `website` answer has its own policy, because a `srcdoc` frame would
 * inherit the page's and lose every inline style. Its origin is opaque, the one script it runs is
 * ours, and it reaches no network.
 */
const PREVIEW_POLICY =
	`${NOTHING}; script-src 'self'; style-src 'unsafe-inline'; img-src data:; frame-ancestors ` +
	"'self'; sandbox allow-scripts";

const HEADERS = {
	"X-Content-Type-Options": "nosniff",
	"Referrer-Policy": "no-referrer",
	"Permissions-Policy":
		"camera=(), microphone=(), geolocation=(), payment=(), usb=()",
};

/** A file of the page's. @throws ApiError `not_found` */
export async function file(
	c: Context<App>,
	path: string,
	policy: string,
): Promise<Response> {
	const url = new URL(c.req.url);
	url.pathname = path;
	const found = await c.env.ASSETS.fetch(new Request(url, c.req.raw));
	if (found.status !== 200 && found.status !== 304)
		throw new ApiError({ code: "not_found" });
	const response = new Response(found.body, found);
	response.headers.set("Content-Security-Policy", policy);
	for (const [name, value] of Object.entries(HEADERS))
		response.headers.set(name, value);
	return response;
}

page.get("/", (c) =>
	file(c, "/", pagePolicy(new URL(config(c.env).S3_ENDPOINT).origin)),
);
page.get("/operators", (c) => file(c, "/operators/", SELF));
page.get("/playground/preview", (c) => file(c, "/preview", PREVIEW_POLICY));
page.get("/playground/:path{.+\\..+}", (c) =>
	file(c, `/${c.req.param("path")}`, NOTHING),
);
