/** The models of this deployment. They are public, as a price list is, and need no key. */
import { createRoute } from "@hono/zod-openapi";
import { etag, RETAINED_304_HEADERS } from "hono/etag";
import { config } from "../env.ts";
import { newRouter } from "../http/router.ts";
import { modelOf, type ServedModel } from "../models.ts";
import {
	CAPABILITIES,
	DESCRIPTION,
	Model,
	ModelList,
} from "../schema/model.ts";
import { pricesWire } from "../schema/price.ts";
import { problems } from "./failures.ts";
import { idParams, json } from "./kit.ts";

export const models = newRouter();

models.use(
	etag({
		// A page of another origin may go on reading what it has.
		retainedHeaders: [
			...RETAINED_304_HEADERS,
			"access-control-allow-origin",
			"access-control-expose-headers",
		],
	}),
	// A minute without asking again, then a question that costs no body while nothing changed.
	async (c, next) => {
		await next();
		if (c.res.ok) c.res.headers.set("Cache-Control", "public, max-age=60");
	},
);

const unchanged = { description: "Unchanged since the `If-None-Match` tag" };

models.openapi(
	createRoute({
		method: "get",
		path: "/",
		operationId: "listModels",
		summary: "The models to ask, the default first",
		description: "Needs no key. The list has OpenAI's shape.",
		security: [],
		responses: {
			200: { description: "The models", content: json(ModelList) },
			304: unchanged,
		},
	}),
	(c) => {
		const { models } = config(c.env);
		const data = Array.from(models.values(), modelWire);
		return c.json({ object: "list" as const, data }, 200);
	},
);

models.openapi(
	createRoute({
		method: "get",
		path: "/{id}",
		operationId: "getModel",
		summary: "A model",
		description: "Needs no key.",
		security: [],
		request: {
			params: idParams("nano"),
		},
		responses: {
			200: { description: "The model", content: json(Model) },
			304: unchanged,
			...problems(404, "model_not_found"),
		},
	}),
	(c) => {
		const { models } = config(c.env);
		return c.json(modelWire(modelOf(models, c.req.valid("param").id)), 200);
	},
);

/** The wire form of a model. */
const modelWire = (model: ServedModel): Model => ({
	id: model.id,
	object: "model",
	created: model.created.getTime() / 1000,
	owned_by: model.ownedBy,
	research_only: model.researchOnly,
	license: model.license,
	parameters: model.parameters,
	context_length: model.contextLength,
	image_tokens: model.imageTokens,
	max_images: model.maxImages,
	prices: pricesWire(model.prices),
	sampling: {
		temperature: model.sampling.temperature,
		top_p: model.sampling.topP,
		repetition_penalty: model.sampling.repetitionPenalty,
	},
	capabilities: [
		...CAPABILITIES,
		...(model.describesFirst ? ([DESCRIPTION] as const) : []),
	],
});
