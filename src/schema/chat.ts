/** OpenAI's chat completions, as far as they are offered. What is not is refused by name, unless it asks for nothing. */
import { z } from "@hono/zod-openapi";
import { LONGEST_TEXT, MOST_MESSAGES } from "./job.ts";
import { lean, leanMessage, leanRequest, NEUTRAL } from "./nothing.ts";

/** Has no value but none. What else says so is passed over before it comes here. */
const noneOf = (...values: unknown[]) =>
	z
		.null({ error: "is not supported here: leave it out" })
		.optional()
		.openapi({
			type: ["null", "boolean", "number", "string", "array", "object"],
			enum: [null, false, 0, "", [], ...values],
		});
const nothing = noneOf({});

/** OpenAI's clients send null for what was not given. */
const given = <S extends z.ZodType>(schema: S) =>
	schema.nullish().transform((value) => value ?? undefined);

const Text = z.strictObject({
	type: z.literal("text"),
	text: z.string().max(LONGEST_TEXT),
});

const ImageUrl = z.strictObject({
	type: z.literal("image_url"),
	image_url: z.strictObject({
		/** `https:`, `data:`, or the id of an uploaded file. */
		url: z.string().min(1).openapi({
			description: "`https:`, `data:`, or the id of an upload (`img_…`)",
			example: "https://example.com/photo.jpg",
		}),
		/** Every image is read at the model's own resolution. */
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
	z.string().max(LONGEST_TEXT),
	z.array(Text).min(1).max(64),
]);

export const ChatMessage = z.discriminatedUnion("role", [
	z.strictObject({
		role: z.enum(["system", "developer"]),
		content: texts,
		name: nothing,
	}),
	z.strictObject({
		role: z.literal("user"),
		content: z.union([
			z.string().max(LONGEST_TEXT),
			z
				.array(z.discriminatedUnion("type", [Text, ImageUrl, File]))
				.min(1)
				.max(64),
		]),
		name: nothing,
	}),
	z.strictObject({
		role: z.literal("assistant"),
		content: texts,
		name: nothing,
		// An answer is sent back as it came: these say nothing, or are refused.
		refusal: nothing,
		annotations: nothing,
		audio: nothing,
		function_call: nothing,
		tool_calls: nothing,
	}),
]);
export type ChatMessage = z.infer<typeof ChatMessage>;

const label = z.string().max(512).nullish();
const tokens = z.int().min(1);

const Parameters = z
	.strictObject({
		model: z.string().min(1).max(64).openapi({ example: "nano" }),
		messages: z
			.array(z.preprocess(leanMessage, ChatMessage))
			.min(1)
			.max(MOST_MESSAGES),
		max_completion_tokens: given(tokens).openapi({
			description:
				"Most tokens to answer with; a quarter of the model's context when left out",
		}),
		/** The older name. */
		max_tokens: given(tokens),
		/** As of a job: 1 when left out. */
		temperature: given(z.number().min(0).max(2)),
		/** As of a job: 0.9 when left out. */
		top_p: given(z.number().min(0).max(1)),
		seed: given(
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
		stream: given(z.boolean()),
		stream_options: given(
			z.preprocess(
				(value) => lean(value),
				z.strictObject({
					include_usage: given(z.boolean()),
					include_obfuscation: z
						.literal(false, { error: "is not supported here: send false" })
						.nullish(),
				}),
			),
		),
		metadata: given(
			z
				.record(z.string().min(1).max(64), z.string().max(512))
				.refine((m) => Object.keys(m).length <= 16, "has more than 16 entries"),
		),
		// Harmless: they change nothing of the answer.
		user: label,
		safety_identifier: label,
		prompt_cache_key: label,
		...NEUTRAL,
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
			).map((parameter) => [parameter, nothing]),
		),
		// `{}` turns it on.
		web_search_options: noneOf(),
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

/** Their `false` and 0 mean something, or are refused. */
const OWN = [
	...["model", "messages", "max_completion_tokens", "max_tokens"],
	...["temperature", "top_p", "seed", "n"],
];

export const ChatRequest = z
	.preprocess(
		(value) => leanRequest(value, ["model", "messages"], OWN),
		Parameters,
	)
	.openapi("ChatRequest", {
		description:
			"What asks for nothing is passed over: null, empty, `false` and 0 where they mean none; and what clients attach to an answer that they send back.",
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
});

const FinishReason = z.enum(["stop", "length"]);

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
	usage: { prompt_tokens: 94, completion_tokens: 11, total_tokens: 105 },
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
		/** With `stream_options.include_usage`: null but in the last chunk, which has no choice. */
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
