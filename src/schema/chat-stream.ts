import { z } from "@hono/zod-openapi";
import { jsonText } from "./event-stream.ts";

/** A completion as it goes over the wire where it streams. */
export const ChatStream = z
	.union([
		z.object({ data: jsonText("ChatCompletionChunk") }),
		z.object({ data: z.literal("[DONE]") }),
		z.object({ data: jsonText("OpenAIError") }),
	])
	.openapi("ChatStream", {
		description:
			"Each server-sent event: a ChatCompletionChunk, and `[DONE]` at the end; or the error, where the job fails after the stream began.",
		example: { data: "[DONE]" },
	});
