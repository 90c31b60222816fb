import { z } from "@hono/zod-openapi";
import { type Failure, type FailureCode, wire } from "../errors.ts";
import { errorOf } from "../openai/error.ts";
import { failuresOf } from "./failures.ts";

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

interface ErrorResponse {
	description: string;
	content: {
		"application/json": {
			schema: typeof OpenAIError;
			examples: Record<string, { value: z.infer<typeof OpenAIError> }>;
		};
	};
}

/**
 * The error responses of a route that speaks OpenAI's shapes, for the OpenAPI document, with an example for each code.
 * @param of statuses, for the codes that they have everywhere, and the codes of this route
 */
export const openaiErrors = <
	const Of extends readonly (number | FailureCode)[],
>(
	...of: Of
): Record<Extract<Of[number], number>, ErrorResponse> =>
	Object.fromEntries(
		Array.from(failuresOf(of), ([status, failures]) => [
			status,
			{
				description: `${status === 429 ? "Too many, see Retry-After" : "An error in OpenAI's shape"}: ${failures.map(({ code }) => `\`${code}\``).join(", ")}`,
				content: {
					"application/json": {
						schema: OpenAIError,
						examples: Object.fromEntries(
							failures.map((failure) => [
								failure.code,
								{ value: { error: openaiErrorOf(failure) } },
							]),
						),
					},
				},
			},
		]),
	) as Record<Extract<Of[number], number>, ErrorResponse>;

function openaiErrorOf(failure: Failure) {
	const { status, detail: message } = wire(failure);
	const field = "field" in failure ? failure.field : undefined;
	return errorOf({ status, code: failure.code, message, field });
}
