/**
 * How a job samples its tokens. The request, the job and the worker protocol carry these members
 * under the same names, so that a new one is added here and in the worker.
 */
import { z } from "@hono/zod-openapi";

export const SAMPLING = {
	max_tokens: z.int().min(1).max(2048).default(300),
	/** 0 is greedy. */
	temperature: z.number().min(0).max(2).default(1),
	/** 0 allows the likeliest token only. */
	top_p: z.number().min(0).max(1).default(0.9),
	repetition_penalty: z.number().min(0.5).max(2).default(1.05),
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

/** A request's sampling members, with defaults. */
export type SamplingRequest = z.infer<z.ZodObject<typeof SAMPLING>>;

/** A job's sampling members: the seed is set. */
export type Sampling = Omit<SamplingRequest, "seed"> & { seed: number };

/** The sampling members of a request, with a seed. */
export function samplingOf(request: SamplingRequest): Sampling {
	const names = Object.keys(SAMPLING) as (keyof SamplingRequest)[];
	const members = Object.fromEntries(
		names.map((name) => [name, request[name]]),
	) as unknown as SamplingRequest;
	return { ...members, seed: request.seed ?? randomSeed() };
}

const randomSeed = (): number =>
	crypto.getRandomValues(new Uint32Array(1))[0] as number;
