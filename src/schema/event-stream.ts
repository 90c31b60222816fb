/** Server-sent events in the OpenAPI document: the schema of a stream is that of each of its events, field by field. */
import { z } from "@hono/zod-openapi";

/** JSON text, as it stands in `data:`. @param of a named schema of the document */
export const jsonText = (of: string) =>
	z.string().openapi({
		contentMediaType: "application/json",
		contentSchema: { $ref: `#/components/schemas/${of}` },
	} as object);

/** An event: `id:`, `event:` and `data:`. */
export const sse = <T extends z.ZodType<string>>(type: T, data: string) =>
	z.object({ id: z.string(), event: type, data: jsonText(data) });
