/** How busy each model's workers are: for operators, and for what scales the workers. */

import { createRoute, z } from "@hono/zod-openapi";
import { config } from "../env.ts";
import { authenticateReader } from "../http/operators.ts";
import { newRouter } from "../http/router.ts";
import { modelOf } from "../models.ts";
import { poolOf } from "../objects.ts";
import { Pool, PoolList } from "../schema/pool.ts";
import { problems } from "./failures.ts";
import { json } from "./kit.ts";

export const pools = newRouter();

const security = [{ admin: [] }];

pools.openapi(
	createRoute({
		method: "get",
		path: "/",
		operationId: "listPools",
		summary: "The pools of all models",
		security,
		middleware: authenticateReader,
		responses: {
			200: { description: "The pools", content: json(PoolList) },
			...problems("invalid_admin_secret"),
		},
	}),
	async (c) => {
		const models = [...config(c.env).models.keys()];
		const data = await Promise.all(models.map((id) => poolWire(c.env, id)));
		return c.json({ data, next_cursor: null }, 200);
	},
);

pools.openapi(
	createRoute({
		method: "get",
		path: "/{model}",
		operationId: "getPool",
		summary: "The pool of a model",
		security,
		middleware: authenticateReader,
		request: {
			params: z.object({ model: z.string().openapi({ example: "nano" }) }),
		},
		responses: {
			200: { description: "The pool", content: json(Pool) },
			...problems("invalid_admin_secret", "model_not_found"),
		},
	}),
	async (c) => {
		const { models } = config(c.env);
		const { id } = modelOf(models, c.req.valid("param").model);
		return c.json(await poolWire(c.env, id), 200);
	},
);

/** The wire form of a pool. */
async function poolWire(
	env: Env,
	model: string,
): Promise<z.infer<typeof Pool>> {
	const load = await poolOf(env, model).load(model);
	return { object: "pool", model, ...load };
}
