import { OpenAPIHono } from "@hono/zod-openapi";
import type { Limits } from "./account/contract.ts";
import type { Env } from "./env.ts";
import { ApiError } from "./errors.ts";
import type { Timings } from "./request.ts";
import { fieldOf } from "./schema/field.ts";

export interface App {
	Bindings: Env;
	Variables: {
		requestId: string;
		/** W3C `traceparent` of what is done for the request. */
		trace: string;
		timings: Timings;
		/** SHA-256 over the body's bytes, hex, where it is JSON. */
		bodySha256: string;
		limits?: Limits;
	};
}

/** A router whose schema violations become `invalid_request`, naming the first wrong field. */
export const newRouter = () =>
	new OpenAPIHono<App>({
		defaultHook: (result) => {
			if (!result.success)
				throw new ApiError({
					code: "invalid_request",
					...fieldOf(result.error),
				});
		},
	});
