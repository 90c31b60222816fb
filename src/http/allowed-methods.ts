/** Finds the methods of a path, for a 405. */
import type { OpenAPIHono } from "@hono/zod-openapi";
import type { App } from "./router.ts";

const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/**
 * The methods that have a handler at this path, for `Allow`. Hono itself answers 404 for a wrong
 * method.
 */
export function allowedMethods(app: OpenAPIHono<App>, path: string): string[] {
	const handlers = new Set(
		app.routes
			.filter((route) => METHODS.includes(route.method))
			.map((route) => route.handler),
	);
	return METHODS.filter((method) =>
		app.router
			.match(method, path)[0]
			.some(([[handler]]) => handlers.has(handler)),
	);
}
