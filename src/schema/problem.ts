/** Errors: problem details, and OpenAI's shape. */
import { z } from "@hono/zod-openapi";

/** RFC 9457 problem details, with a stable code and the request's id. */
export const Problem = z
	.object({
		type: z.string(),
		title: z.string(),
		status: z.int(),
		detail: z.string(),
		code: z.string().openapi({ example: "invalid_request" }),
		request_id: z.string(),
		/** With 429: seconds to wait before the next call, as in Retry-After. */
		retry_after: z.int().optional().openapi({ example: 3 }),
		/** The invalid member of the request. */
		field: z.string().optional().openapi({ example: "images[0].url" }),
	})
	.loose()
	.openapi("Problem");
export type Problem = z.infer<typeof Problem>;

/** The same in OpenAI's shape, on the routes that their clients call. */
export const OpenAIError = z
	.object({
		error: z.object({
			message: z.string(),
			type: z.string().openapi({ example: "invalid_request_error" }),
			/** The member of the request that is wrong. */
			param: z.string().nullable().openapi({ example: "messages[0].content" }),
			/** As in problem details. */
			code: z.string().openapi({ example: "invalid_request" }),
		}),
	})
	.openapi("OpenAIError");
export type OpenAIError = z.infer<typeof OpenAIError>;
