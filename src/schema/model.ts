/** The models that a caller can choose. */
import { z } from "@hono/zod-openapi";
import { MODELS } from "../models.ts";
import { PRICE_TABLE } from "../pricing/prices.ts";
import { Prices, pricesWire } from "./price.ts";

/** What every model of this API can do. */
export const CAPABILITIES = ["images", "tasks", "streaming", "resume"] as const;
/** What some of them do. */
export const DESCRIPTION = "description" as const;

const MODEL = {
	id: "nano",
	object: "model",
	created: 1_795_392_000,
	owned_by: "minigpt4-api",
	research_only: MODELS.nano.researchOnly,
	license: MODELS.nano.license,
	parameters: 144_108_912,
	context_length: 2_048,
	image_tokens: 8,
	max_images: 4,
	prices: pricesWire({
		version: PRICE_TABLE.version,
		rates: PRICE_TABLE.rates.nano,
	}),
	sampling: { temperature: 1, top_p: 0.9, repetition_penalty: 1.05 },
	capabilities: [...CAPABILITIES],
};

/**
 * OpenAI's model object, with the facts that a caller needs to choose a model and to size a
 * request.
 */
export const Model = z
	.object({
		id: z.string().openapi({ example: "vicuna-7b" }),
		object: z.literal("model"),
		created: z.int().openapi({
			description: "When this API first offered it, in seconds since 1970",
		}),
		owned_by: z.string().openapi({ description: "Who trained it" }),
		research_only: z.boolean().openapi({
			description:
				"Whether a part's licence, or the terms of the data that a part was trained on, allow " +
				"research and education only",
		}),
		license: z.string().openapi({
			description: "The licences of the model's parts, and what restricts them",
		}),
		parameters: z.int().openapi({
			description:
				"The weights that the model computes with: vision encoder, Q-Former or its substitute, " +
				"projection and language model",
			example: 7_832_625_024,
		}),
		context_length: z.int().openapi({
			description: "The most tokens of images, prompt and answer together",
		}),
		image_tokens: z.int().openapi({ description: "Tokens of one image" }),
		max_images: z.int().openapi({ description: "The most images of one job" }),
		prices: Prices,
		sampling: z
			.object({
				temperature: z.number(),
				top_p: z.number(),
				repetition_penalty: z.number(),
			})
			.openapi({ description: "How it samples where a request does not say" }),
		capabilities: z.array(z.enum([...CAPABILITIES, DESCRIPTION])).openapi({
			description:
				"`description`: the model describes the images before it does a `task`",
		}),
	})
	.openapi("Model", { example: MODEL });
export type Model = z.infer<typeof Model>;

/** Has the shape of OpenAI's list, not `{data, next_cursor}`, because OpenAI's clients read it. */
export const ModelList = z
	.object({ object: z.literal("list"), data: z.array(Model) })
	.openapi("ModelList", { example: { object: "list", data: [MODEL] } });
