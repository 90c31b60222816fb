/**
 * Server-sent events in the OpenAPI document. The schema of a stream describes each of its events,
 * field by field.
 */
import { z } from "@hono/zod-openapi";

/**
 * JSON text in `data:`.
 * @param schema the name of its schema in the document
 */
export const jsonText = (schema: string) =>
	z.string().openapi({
		contentMediaType: "application/json",
		contentSchema: { $ref: `#/components/schemas/${schema}` },
	} as object);

/** One event with `id:`, `event:` and `data:`. */
export const sse = <T extends z.ZodType<string>>(type: T, data: string) =>
	z.object({ id: z.string(), event: type, data: jsonText(data) });
