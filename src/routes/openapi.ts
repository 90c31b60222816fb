import type { OpenAPIHono } from "@hono/zod-openapi";
import type { App } from "../router.ts";

/** The OpenAPI 3.1 document, from the same schemas that parse the requests. */
export function openapi(app: OpenAPIHono<App>): void {
	app.openAPIRegistry.registerComponent("securitySchemes", "key", {
		type: "http",
		scheme: "bearer",
		description: "An API key: mg_live_<account>_<secret>_<tag>.",
	});
	app.get("/openapi.json", (c) =>
		c.json(
			app.getOpenAPI31Document({
				openapi: "3.1.0",
				info: {
					title: "MiniGPT-4 API",
					version: "0.1.0",
					description:
						"Send a photo, ask about it, read the answer token by token. Money is in integer micro-USD, times are RFC 3339, errors are problem details with a stable code.",
				},
				security: [{ key: [] }],
			}),
		),
	);
}
