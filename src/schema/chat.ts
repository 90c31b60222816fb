/**
 * The part of OpenAI's chat completions that this API offers. It refuses every other parameter by
 * name, except with a value that has no effect (see normalize.ts).
 */
import { z } from "@hono/zod-openapi";
import { jsonText } from "./event-stream.ts";
import { MAX_MESSAGES, MAX_PRICE, MAX_TEXT_LENGTH, MaxPrice } from "./job.ts";
import {
	dropEmpty,
	NEUTRAL_PARAMETERS,
	normalizeMessage,
	normalizeRequest,
} from "./normalize.ts";
import { PAID, PAID_EXAMPLE } from "./price.ts";
import { QUOTE, QuoteToken } from "./quote.ts";

/**
 * A parameter that this API does not have. `normalizeRequest` removes the values in `enum` before
 * this schema sees them, so that it refuses all others.
 */
const unsupportedExcept = (...values: unknown[]) =>
	z
		.null({ error: "is not supported here: leave it out" })
		.optional()
		.openapi({
			type: ["null", "boolean", "number", "string", "array", "object"],
			enum: [null, false, 0, "", [], ...values],
		});
const unsupported = unsupportedExcept({});

/**
 * Takes null for undefined, because OpenAI's clients send null for parameters that were not set.
 */
const optional = <S extends z.ZodType>(schema: S) =>
	schema.nullish().transform((value) => value ?? undefined);

const Text = z.strictObject({
	type: z.literal("text"),
	text: z.string().max(MAX_TEXT_LENGTH),
});

const ImageUrl = z.strictObject({
	type: z.literal("image_url"),
	image_url: z.strictObject({
		/** `https:`, `data:`, or the id of an uploaded file. */
		url: z.string().min(1).openapi({
			description: "`https:`, `data:`, or the id of an upload (`img_…`)",
			example: "https://example.com/photo.jpg",
		}),
		/** Has no effect: the model reads every image at its own resolution. */
		detail: z.enum(["auto", "low", "high", "original"]).nullish(),
	}),
});

const File = z.strictObject({
	type: z.literal("file"),
	file: z
		.strictObject({
			file_id: z.string().min(1).optional().openapi({
				example: "img_01JD8Z6Q3V9Y4K2M7N5P8R1S3T",
			}),
			file_data: z.string().min(1).optional().openapi({
				description: "An image as a `data:` URL",
			}),
			filename: z.string().max(512).optional(),
		})
		.refine(
			(file) => (file.file_id === undefined) !== (file.file_data === undefined),
			"needs exactly one of `file_id` and `file_data`",
		),
});

const texts = z.union([
	z.string().max(MAX_TEXT_LENGTH),
	z.array(Text).min(1).max(64),
]);

export const ChatMessage = z.discriminatedUnion("role", [
	z.strictObject({
		role: z.enum(["system", "developer"]),
		content: texts,
		name: unsupported,
	}),
	z.strictObject({
		role: z.literal("user"),
		content: z.union([
			z.string().max(MAX_TEXT_LENGTH),
			z
				.array(z.discriminatedUnion("type", [Text, ImageUrl, File]))
				.min(1)
				.max(64),
		]),
		name: unsupported,
	}),
	z.strictObject({
		role: z.literal("assistant"),
		content: texts,
		name: unsupported,
		// Clients send an assistant message back with these members, which are empty in our answers.
		refusal: unsupported,
		annotations: unsupported,
		audio: unsupported,
		function_call: unsupported,
		tool_calls: unsupported,
	}),
]);
export type ChatMessage = z.infer<typeof ChatMessage>;

const label = z.string().max(512).nullish();
const tokens = z.int().min(1);

const Parameters = z
	.strictObject({
		model: z.string().min(1).max(64).openapi({ example: "nano" }),
		messages: z
			.array(z.preprocess(normalizeMessage, ChatMessage))
			.min(1)
			.max(MAX_MESSAGES),
		max_completion_tokens: optional(tokens).openapi({
			description:
				"The most tokens of the answer. When left out: a quarter of the model's context.",
		}),
		/** The older name of `max_completion_tokens`. */
		max_tokens: optional(tokens),
		/** 1 when left out, as in a job. */
		temperature: optional(z.number().min(0).max(2)),
		/** 0.9 when left out, as in a job. */
		top_p: optional(z.number().min(0).max(1)),
		seed: optional(
			z
				.int()
				.min(0)
				.max(2 ** 32 - 1),
		),
		stop: z
			.union([
				z.string().min(1).max(64),
				z.array(z.string().min(1).max(64)).max(4),
			])
			.nullish()
			.transform((stop) =>
				Array.isArray(stop) ? stop : typeof stop === "string" ? [stop] : [],
			),
		stream: optional(z.boolean()),
		stream_options: optional(
			z.preprocess(
				(value) => dropEmpty(value),
				z.strictObject({
					include_usage: optional(z.boolean()),
					include_obfuscation: z
						.literal(false, { error: "is not supported here: send false" })
						.nullish(),
				}),
			),
		),
		max_price: optional(MaxPrice).openapi({
			description: `An extension of OpenAI's API. ${MAX_PRICE}`,
		}),
		quote: optional(QuoteToken).openapi({
			description: `An extension of OpenAI's API. ${QUOTE}`,
		}),
		metadata: optional(
			z
				.record(z.string().min(1).max(64), z.string().max(512))
				.refine((m) => Object.keys(m).length <= 16, "has more than 16 entries"),
		),
		// These have no effect on the answer.
		user: label,
		safety_identifier: label,
		prompt_cache_key: label,
		...NEUTRAL_PARAMETERS,
		...Object.fromEntries(
			(
				[
					"audio",
					"functions",
					"logit_bias",
					"moderation",
					"prediction",
					"prompt_cache_options",
					"prompt_cache_retention",
					"tools",
				] as const
			).map((parameter) => [parameter, unsupported]),
		),
		// Here `{}` has an effect: it turns the search on.
		web_search_options: unsupportedExcept(),
	})
	.superRefine(({ messages, stream, stream_options }, context) => {
		const last = messages.length - 1;
		if (messages[last]?.role !== "user")
			context.addIssue({
				code: "custom",
				path: ["messages", last, "role"],
				message: "the last message must be the user's",
			});
		if (stream_options?.include_usage && !stream)
			context.addIssue({
				code: "custom",
				path: ["stream_options"],
				message: "is only for `stream: true`",
			});
	});

/** The parameters of this API. For them `false` and 0 are values of their own, valid or not. */
const OWN_PARAMETERS = [
	"model",
	"messages",
	"max_completion_tokens",
	"max_tokens",
	"temperature",
	"top_p",
	"seed",
	"max_price",
	"quote",
	"n",
];

export const ChatRequest = z
	.preprocess(
		(value) => normalizeRequest(value, ["model", "messages"], OWN_PARAMETERS),
		Parameters,
	)
	.openapi("ChatRequest", {
		description:
			"Values without effect count as left out: null, empty ones, and `false` and 0 where they " +
			"mean none. So do the members that clients attach to an answer which they send back.",
		example: {
			model: "nano",
			messages: [
				{
					role: "user",
					content: [
						{
							type: "image_url",
							image_url: { url: "img_01JD8Z6Q3V9Y4K2M7N5P8R1S3T" },
						},
						{ type: "text", text: "What is in this picture?" },
					],
				},
			],
			max_completion_tokens: 60,
		},
	});
export type ChatRequest = z.infer<typeof ChatRequest>;

const Usage = z.object({
	prompt_tokens: z.int(),
	completion_tokens: z.int(),
	total_tokens: z.int(),
	...PAID,
});

/** OpenAI's API has no `budget`: an answer that ends at `max_price` is one that was cut. */
const FinishReason = z.enum(["stop", "length"]).openapi({
	description: "`length` too where the answer ends at `max_price`",
});

const shared = {
	id: z.string().openapi({ example: "chatcmpl-01JD8Z6Q3V9Y4K2M7N5P8R1S3T" }),
	created: z.int().openapi({ description: "Seconds since 1970" }),
	model: z.string(),
};

export const COMPLETION = {
	id: "chatcmpl-01JD8Z6Q3V9Y4K2M7N5P8R1S3T",
	created: 1_795_426_200,
	model: "nano",
	object: "chat.completion",
	choices: [
		{
			index: 0,
			message: {
				role: "assistant",
				content: "The photo shows a tabby cat with green eyes.",
				refusal: null,
			},
			logprobs: null,
			finish_reason: "stop",
		},
	],
	usage: {
		prompt_tokens: 94,
		completion_tokens: 11,
		total_tokens: 105,
		...PAID_EXAMPLE,
	},
};

export const ChatCompletion = z
	.object({
		...shared,
		object: z.literal("chat.completion"),
		choices: z.array(
			z.object({
				index: z.literal(0),
				message: z.object({
					role: z.literal("assistant"),
					content: z.string(),
					refusal: z.null(),
				}),
				logprobs: z.null(),
				finish_reason: FinishReason,
			}),
		),
		usage: Usage,
	})
	.openapi("ChatCompletion", { example: COMPLETION });
export type ChatCompletion = z.infer<typeof ChatCompletion>;

export const ChatCompletionChunk = z
	.object({
		...shared,
		object: z.literal("chat.completion.chunk"),
		choices: z.array(
			z.object({
				index: z.literal(0),
				delta: z.object({
					role: z.literal("assistant").optional(),
					content: z.string().optional(),
					refusal: z.null().optional(),
				}),
				logprobs: z.null(),
				finish_reason: FinishReason.nullable(),
			}),
		),
		/**
		 * With `stream_options.include_usage`: set in the last chunk, which has no choices, and null
		 * before.
		 */
		usage: Usage.nullable().optional(),
	})
	.openapi("ChatCompletionChunk", {
		example: {
			id: "chatcmpl-01JD8Z6Q3V9Y4K2M7N5P8R1S3T",
			created: 1_795_426_200,
			model: "nano",
			object: "chat.completion.chunk",
			choices: [
				{
					index: 0,
					delta: { content: " cat" },
					logprobs: null,
					finish_reason: null,
				},
			],
		},
	});
export type ChatCompletionChunk = z.infer<typeof ChatCompletionChunk>;

/** A streamed completion, event by event. */
export const ChatStream = z
	.union([
		z.object({ data: jsonText("ChatCompletionChunk") }),
		z.object({ data: z.literal("[DONE]") }),
		z.object({ data: jsonText("OpenAIError") }),
	])
	.openapi("ChatStream", {
		description:
			"Each server-sent event is a ChatCompletionChunk, and the last one is `[DONE]`. If the job " +
			"fails after the stream began, the last event is the error instead.",
		example: { data: "[DONE]" },
	});
