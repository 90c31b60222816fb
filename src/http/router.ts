/** The router of each resource: what a request carries from its middleware to its handler. */
import { OpenAPIHono } from "@hono/zod-openapi";
import { getPath } from "hono/utils/url";
import type { ZodError } from "zod";
import type { JobName, Limits } from "../contract/account.ts";
import { ApiError } from "../errors.ts";
import { fieldOf } from "../schema/field.ts";
import type { Caller } from "./authenticate.ts";
import type { Timings } from "./request-log.ts";

export interface App {
	Bindings: Env;
	Variables: {
		requestId: string;
		/** The W3C `traceparent` of the work for this request. */
		trace: string;
		/** On the routes that take a key: see `requires`. */
		caller: Caller;
		/** On the routes that create a job. */
		jobName: JobName;
		timings: Timings;
		/** The SHA-256 of a JSON body's bytes, hex. */
		bodySha256: string;
		limits?: Limits;
	};
}

/**
 * Removes repeated slashes and a slash at the end, so that `//v1/jobs/` finds the route `/v1/jobs`.
 */
const normalizePath = (path: string): string =>
	path.replaceAll(/\/{2,}/g, "/").replace(/(?<=.)\/$/, "");

/**
 * A router that answers a request outside its schema with `invalid_request`, which names the first
 * invalid field.
 */
export const newRouter = () =>
	new OpenAPIHono<App>({
		getPath: (request) => normalizePath(getPath(request)),
		defaultHook: (result) => {
			if (!result.success) throw invalidRequest(result.error);
		},
	});

/** Names the first invalid field. */
export const invalidRequest = (error: ZodError): ApiError =>
	new ApiError({ code: "invalid_request", ...fieldOf(error) });
