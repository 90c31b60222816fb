/** The load of pools, for operators. */
import { z } from "@hono/zod-openapi";

const POOL = {
	object: "pool",
	model: "nano",
	running: 3,
	waiting: 0,
	ready_slots: 16,
	queued_seconds_per_slot: 0,
	workers: [
		{ origin: "http://127.0.0.1:8000", state: "ready", slots: 16, running: 3 },
	],
};

/** How busy a model's workers are. */
export const Pool = z
	.object({
		object: z.literal("pool"),
		model: z.string(),
		running: z.int().openapi({ description: "Jobs that hold a slot" }),
		waiting: z.int().openapi({ description: "Jobs in the queue" }),
		ready_slots: z
			.int()
			.openapi({ description: "Slots of the workers that accept jobs" }),
		queued_seconds_per_slot: z.number().openapi({
			description:
				"The figure to scale workers by: estimated seconds of queued work for each ready slot, " +
				"or in total while no slot is ready",
		}),
		workers: z.array(
			z.object({
				origin: z.string(),
				state: z
					.enum([
						"ready",
						"draining",
						"starting",
						"away",
						"mistaken",
						"broken",
						"unknown",
					])
					.openapi({
						description:
							"`mistaken`: the worker serves another model. `broken`: jobs failed on the worker, " +
							"and it gets none for a while.",
					}),
				slots: z.int(),
				running: z.int(),
			}),
		),
	})
	.openapi("Pool", { example: POOL });

export const PoolList = z
	.object({ data: z.array(Pool), next_cursor: z.null() })
	.openapi("PoolList", { example: { data: [POOL], next_cursor: null } });
