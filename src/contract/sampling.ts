/**
 * How a job samples its tokens. The request, the job and the worker protocol carry these members
 * under the same names, so that a new one is added here and in the worker.
 */
import { z } from "@hono/zod-openapi";

const LEFT_OUT = "Left out: the model's, as in `sampling` of GET /v1/models";

export const SAMPLING = {
	max_tokens: z.int().min(1).max(2048).optional().openapi({
		description: "Left out: 300, or what the `task` needs (website: 1,200)",
	}),
	temperature: z
		.number()
		.min(0)
		.max(2)
		.optional()
		.openapi({ description: `0 is greedy. ${LEFT_OUT}` }),
	top_p: z
		.number()
		.min(0)
		.max(1)
		.optional()
		.openapi({ description: `0 allows the likeliest token only. ${LEFT_OUT}` }),
	repetition_penalty: z
		.number()
		.min(0.5)
		.max(2)
		.optional()
		.openapi({ description: LEFT_OUT }),
	/** Drawn at random when left out. The job keeps it, so that a later attempt continues with it. */
	seed: z
		.int()
		.min(0)
		.max(2 ** 32 - 1)
		.optional(),
	/** The Job enforces stop strings, over the whole text; the worker does not know them. */
	stop: z
		.union([
			z.string().min(1).max(64),
			z.array(z.string().min(1).max(64)).max(4),
		])
		.optional()
		.transform((stop) =>
			stop === undefined ? [] : Array.isArray(stop) ? stop : [stop],
		),
};

/** A request's sampling members. */
export type SamplingRequest = z.infer<z.ZodObject<typeof SAMPLING>>;

/** A job's sampling members: all are set. */
export type Sampling = {
	[K in keyof SamplingRequest]-?: NonNullable<SamplingRequest[K]>;
};
