/** How a call says that it repeats one, and how the answer says so: for the OpenAPI document. */
import { z } from "@hono/zod-openapi";

export const retryCount = z.string().optional().openapi({
	description:
		"Above 0, as OpenAI's clients send it by themselves: this call repeats one of the last ten minutes, with the same key and the same body to the byte, and has that one's job. A job that was canceled meanwhile is asked anew. Without this header, or an `Idempotency-Key`, equal calls are jobs of their own",
	example: "1",
});

export const replayed = z.literal("true").optional().openapi({
	description:
		"This name was known, or this call repeats another: nothing was created or charged again",
});
