import { OpenAPIHono } from "@hono/zod-openapi";
import { getPath } from "hono/utils/url";
import type { Limits } from "../contract/account.ts";
import { ApiError } from "../errors.ts";
import { fieldOf } from "../schema/field.ts";
import type { Caller } from "./authenticate.ts";
import type { Timings } from "./request-log.ts";

export interface App {
	Bindings: Env;
	Variables: {
		requestId: string;
		/** W3C `traceparent` of what is done for the request. */
		trace: string;
		/** Behind `authenticate` only. */
		caller: Caller;
		timings: Timings;
		/** SHA-256 over the body's bytes, hex, where it is JSON. */
		bodySha256: string;
		limits?: Limits;
	};
}

/** A path as the routes have it: a slash at its end, or behind another, says nothing. */
const withoutEmpty = (path: string): string =>
	path.replaceAll(/\/{2,}/g, "/").replace(/(?<=.)\/$/, "");

/** A router whose schema violations become `invalid_request`, naming the first wrong field. */
export const newRouter = () =>
	new OpenAPIHono<App>({
		getPath: (request) => withoutEmpty(getPath(request)),
		defaultHook: (result) => {
			if (!result.success)
				throw new ApiError({
					code: "invalid_request",
					...fieldOf(result.error),
				});
		},
	});
