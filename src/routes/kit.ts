/** What several routes share. */
import { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { ApiError } from "../errors.ts";
import type { App } from "../http/router.ts";

/** The content of a body that is JSON. */
export const json = <S extends z.ZodType>(schema: S) => ({
	"application/json": { schema },
});

/** Headers of an answer that holds a secret. */
export const NOT_STORED = { "Cache-Control": "no-store" };

/** How many entries of a list a page has. */
export const pageLimit = z.coerce.number().int().min(1).max(100).default(20);

/**
 * The `{id}` of a path, of any form: what is not an id names nothing.
 * @param example an id of the resource
 */
export const idParams = (example: string) =>
	z.object({ id: z.string().openapi({ example }) });

export const JOB_PARAMS = idParams("01JD8Z6Q3V9Y4K2M7N5P8R1S3T");
export const UPLOAD_PARAMS = idParams("img_01JD8Z6Q3V9Y4K2M7N5P8R1S3T");

/** This API, as the caller named it. */
export const originOf = (c: Context<App>): string => new URL(c.req.url).origin;

const SEQ = /^\d{1,15}$/;

/** A sequence number, as callers write it. */
export const Seq = z.string().regex(SEQ, "must be an event's number");

/**
 * After which event a stream or a page begins, and the field that says so; the query wins.
 * @throws ApiError `invalid_request`
 */
export function startOf(
	query: string | undefined,
	lastEventId: string | undefined,
): { after: number | null; field: string } {
	const field = query !== undefined ? "after" : "Last-Event-ID";
	// A browser that has no last id sends the header empty, if at all.
	const text = query ?? (lastEventId || undefined);
	if (text === undefined) return { after: null, field: "after" };
	if (SEQ.test(text)) return { after: Number(text), field };
	throw new ApiError({
		code: "invalid_request",
		field,
		detail: `\`${field}\` must be the number of an event, as its \`id:\` said.`,
	});
}

/** How OpenAI's clients say that a call repeats one. */
export const retryCount = z
	.string()
	.optional()
	.openapi({
		description:
			"Above 0, as OpenAI's clients send it by themselves: this call repeats one of the last ten " +
			"minutes, with the same key and the same body to the byte, and gets that call's job, or a " +
			"new job if that one was canceled. Without this header or an `Idempotency-Key` each call " +
			"creates a job",
		example: "1",
	});

/** How the answer says so. */
export const replayed = z.literal("true").optional().openapi({
	description:
		"This name was known, or this call repeats another: nothing was created or charged again",
});
