/** Jobs: the request for one, the job, and lists of jobs. */
import { z } from "@hono/zod-openapi";
import { FINISH_REASONS, JOB_STATUSES } from "../contract/job.ts";
import { Eta } from "../contract/pool.ts";
import { SAMPLING } from "../contract/sampling.ts";
import { JOB_ID } from "../ids.ts";
import { PRICE_TABLE } from "../pricing/prices.ts";
import { TASKS, type Task } from "../tasks.ts";
import { ImageSource, UploadId } from "./image.ts";
import { dropEmpty, normalizeJob, normalizeMessage } from "./normalize.ts";
import { PAID, PAID_EXAMPLE } from "./price.ts";
import { QUOTE, QuoteToken } from "./quote.ts";
import { JobWebhook } from "./webhook.ts";

const taskNames = Object.keys(TASKS) as [Task, ...Task[]];

/** The largest body of a job: four inline images in base64, and room for the rest. */
export const JOB_BODY_LIMIT = 24 * 1024 * 1024;

export const JobId = z
	.string()
	.regex(JOB_ID, "is not a job id")
	.openapi({ example: "01JD8Z6Q3V9Y4K2M7N5P8R1S3T" });

/** The most UTF-16 units of one text. */
export const MAX_TEXT_LENGTH = 32_768;
/** The most messages of one request. */
export const MAX_MESSAGES = 64;

const ContentPart = z.discriminatedUnion("type", [
	z.strictObject({
		type: z.literal("text"),
		text: z.string().max(MAX_TEXT_LENGTH),
	}),
	z.strictObject({ type: z.literal("image") }),
]);

/** One message of a conversation. The n-th `image` part of a request stands for `images[n]`. */
const JobMessage = z
	.strictObject({
		role: z.enum(["system", "user", "assistant"]),
		content: z.union([
			z.string().max(MAX_TEXT_LENGTH),
			z.array(ContentPart).min(1).max(64),
		]),
	})
	.openapi("Message", {
		example: {
			role: "user",
			content: [
				{ type: "image" },
				{ type: "text", text: "What is in this picture?" },
			],
		},
	});
type JobMessage = z.infer<typeof JobMessage>;

export const MaxPrice = z.int().nonnegative();
export const MAX_PRICE =
	"The most that the job may cost, in micro-USD. The answer ends before the token that would " +
	"exceed it, and what was written is kept.";

const Parameters = z
	.strictObject({
		model: z.string().max(64).optional().openapi({
			description:
				"The id of a model in GET /v1/models. When left out: the first of them.",
			example: "nano",
		}),
		images: z
			.array(z.preprocess((image) => dropEmpty(image), ImageSource))
			.max(4)
			.default([])
			.openapi({
				description: "A `task` needs at least one image.",
			}),
		prompt: z
			.string()
			.min(1)
			.max(MAX_TEXT_LENGTH)
			.optional()
			.openapi({ example: "What is in this picture?" }),
		task: z
			.enum(taskNames)
			.optional()
			.openapi({
				description:
					"A prompt of this API. A model with the capability `description` first describes the " +
					"images, and then does the task over its description. `max_tokens` limits both " +
					"together.",
			}),
		messages: z
			.array(z.preprocess(normalizeMessage, JobMessage))
			.min(1)
			.max(MAX_MESSAGES)
			.optional()
			.openapi({
				description:
					"A conversation, instead of `prompt`. The last message must have the role `user`, and " +
					"only messages with that role may contain images. The n-th `image` part stands for " +
					"`images[n]`; images without a part come before the text of the first user message.",
			}),
		previous_job: JobId.optional().openapi({
			description:
				"The id of a job to continue: its conversation, its answer and its images come before " +
				"`prompt` or `messages`. That job must have ended without failing, and must still exist.",
		}),
		...SAMPLING,
		max_price: MaxPrice.optional().openapi({
			description: `${MAX_PRICE} \`finish_reason\` is then \`budget\`.`,
			example: 1_000,
		}),
		quote: QuoteToken.optional().openapi({ description: QUOTE }),
		metadata: z
			.record(z.string().min(1).max(64), z.string().max(512))
			.refine((m) => Object.keys(m).length <= 16, "has more than 16 entries")
			.default({}),
		expires_in: z
			.int()
			.min(3_600)
			.max(30 * 86_400)
			.default(7 * 86_400)
			.openapi({
				description:
					"Seconds between the job's end and its deletion. The images that were sent inline with " +
					"the job are deleted with it.",
			}),
		on_disconnect: z
			.enum(["continue", "cancel"])
			.default("continue")
			.openapi({
				description:
					"`cancel` cancels the job when its last reader disconnects and none returns. The job " +
					"waits ten seconds for a reader of its stream, which can resume, and two seconds for a " +
					"call that waits (`Prefer: wait`), which can only be repeated.",
			}),
		webhook: JobWebhook.optional().openapi({
			description:
				"A webhook for this job's events, in addition to the account's webhooks. Its messages " +
				"are signed with the account's secret (GET /v1/webhooks/secret).",
		}),
	})
	.superRefine(checkTogether);

/** In `stop` and `metadata` `false` and 0 mean none. 0 answers are not an option. */
const OWN_PARAMETERS = Object.keys(Parameters.shape)
	.filter((name) => name !== "stop" && name !== "metadata")
	.concat("n");

export const JobRequest = z
	.preprocess((value) => normalizeJob(value, OWN_PARAMETERS), Parameters)
	.openapi("JobRequest", {
		description:
			"A member that is null or empty counts as left out. So does a member that this API does " +
			"not have, if it is `false` or 0. In `messages`, an assistant message may have the members " +
			"that clients attach to an answer.",
		example: {
			model: "nano",
			images: [{ upload: "img_01JD8Z6Q3V9Y4K2M7N5P8R1S3T" }],
			prompt: "What is in this picture?",
			max_tokens: 60,
			temperature: 0,
		},
	});
export type JobRequest = z.infer<typeof JobRequest>;

/** The rules that involve more than one member. */
function checkTogether(
	job: {
		prompt?: string | undefined;
		task?: string | undefined;
		messages?: JobMessage[] | undefined;
		previous_job?: string | undefined;
		images: unknown[];
	},
	context: z.core.$RefinementCtx,
): void {
	const refuse = (path: (string | number)[], message: string) =>
		context.addIssue({ code: "custom", path, message });
	const { prompt, task, messages, previous_job, images } = job;
	const sent = [prompt, task, messages].filter((each) => each !== undefined);
	if (sent.length !== 1)
		refuse(["prompt"], "send exactly one of `prompt`, `task` and `messages`");
	else if (task !== undefined && previous_job !== undefined)
		refuse(["task"], "cannot continue a `previous_job`: send `prompt` instead");
	else if (task !== undefined && images.length === 0)
		refuse(["images"], "a `task` needs at least one image");
	if (!messages) return;
	let parts = 0;
	for (const [n, { role, content }] of messages.entries()) {
		if (typeof content === "string") continue;
		for (const [m, part] of content.entries()) {
			if (part.type !== "image") continue;
			const path = ["messages", n, "content", m];
			if (role !== "user")
				refuse(path, "only a user's message may contain images");
			else if (++parts > images.length)
				refuse(
					path,
					`is image part ${parts}, and \`images\` has ${images.length}`,
				);
		}
	}
	const last = messages.length - 1;
	if (messages[last]?.role !== "user")
		refuse(["messages", last, "role"], "the last message must be the user's");
}

export const JobStatus = z.enum(JOB_STATUSES);
export const FinishReason = z.enum(FINISH_REASONS).openapi({
	description:
		"`length`: at `max_tokens` or the model's context; `budget`: at `max_price`",
});

export const Job = z
	.object({
		id: z.string().openapi({ example: "01JD8Z6Q3V9Y4K2M7N5P8R1S3T" }),
		object: z.literal("job"),
		status: JobStatus,
		model: z.string(),
		created_at: z.iso.datetime(),
		started_at: z.iso.datetime().nullable(),
		finished_at: z.iso.datetime().nullable(),
		images: z.array(z.object({ upload: UploadId })),
		/** The texts so far. */
		output: z.object({
			description: z
				.string()
				.nullable()
				.openapi({
					description:
						"What the model sees, where it describes the images before it does a `task`; " +
						"else null",
				}),
			text: z.string(),
			finish_reason: FinishReason.nullable(),
		}),
		usage: z.object({
			images: z.int(),
			prompt_tokens: z
				.int()
				.nullable()
				.openapi({
					description:
						"Those of the images included. Of a job that describes the images first: of its last " +
						"prompt, which holds the description.",
				}),
			output_tokens: z
				.int()
				.openapi({ description: "Those of the description included" }),
		}),
		/**
		 * Micro-USD; null until the job is settled. A job costs its prompt, its images and the tokens
		 * of its answer. One that failed, expired, or was canceled before its first token costs 0.
		 */
		price: z.int().nullable(),
		/** Null until the job is settled. */
		price_parts: PAID.price_parts.nullable(),
		/** The `version` of the prices under which the job was admitted. */
		price_version: z.string(),
		error: z
			.object({
				code: z.string(),
				message: z.string(),
				field: z.string().optional(),
			})
			.nullable(),
		metadata: z.record(z.string(), z.string()),
		/**
		 * The job's position while it waits; null while it is unknown, and when the job does not wait.
		 */
		queue: z
			.object({
				position: z.int().openapi({ description: "1 is the next job to run" }),
				eta: Eta.nullable(),
			})
			.nullable(),
		last_seq: z.int(),
		/** SHA-256 over the UTF-8 bytes of `output.text`, hex. */
		sha256: z.string(),
		urls: z.object({ self: z.url(), events: z.url() }),
	})
	.openapi("Job", {
		example: {
			id: "01JD8Z6Q3V9Y4K2M7N5P8R1S3T",
			object: "job",
			status: "succeeded",
			model: "nano",
			created_at: "2026-11-23T09:30:00.000Z",
			started_at: "2026-11-23T09:30:00.120Z",
			finished_at: "2026-11-23T09:30:01.480Z",
			images: [{ upload: "img_01JD8Z6Q3V9Y4K2M7N5P8R1S3T" }],
			output: {
				description: null,
				text: "The photo shows a tabby cat with green eyes.",
				finish_reason: "stop",
			},
			usage: { images: 1, prompt_tokens: 94, output_tokens: 11 },
			...PAID_EXAMPLE,
			price_version: PRICE_TABLE.version,
			error: null,
			metadata: {},
			queue: null,
			last_seq: 15,
			sha256:
				"0703946e81b7b129333e8bc2065cfa2717ead0071c10d5812313e56bf659b0ab",
			urls: {
				self: "http://127.0.0.1:8787/v1/jobs/01JD8Z6Q3V9Y4K2M7N5P8R1S3T",
				events:
					"http://127.0.0.1:8787/v1/jobs/01JD8Z6Q3V9Y4K2M7N5P8R1S3T/events",
			},
		},
	});
export type Job = z.infer<typeof Job>;

const SUMMARY = {
	id: "01JD8Z6Q3V9Y4K2M7N5P8R1S3T",
	object: "job",
	status: "succeeded",
	model: "nano",
	created_at: "2026-11-23T09:30:00.000Z",
	price: PAID_EXAMPLE.price,
	urls: {
		self: "http://127.0.0.1:8787/v1/jobs/01JD8Z6Q3V9Y4K2M7N5P8R1S3T",
		events: "http://127.0.0.1:8787/v1/jobs/01JD8Z6Q3V9Y4K2M7N5P8R1S3T/events",
	},
};

export const JobSummary = z
	.object({
		id: z.string(),
		object: z.literal("job"),
		/** `accepted` until the job is settled. GET the job for its present state. */
		status: z.enum(["accepted", "succeeded", "failed", "canceled", "expired"]),
		model: z.string(),
		created_at: z.iso.datetime(),
		price: z.int().nullable(),
		urls: z.object({ self: z.url(), events: z.url() }),
	})
	.openapi("JobSummary", { example: SUMMARY });

export const JobList = z
	.object({ data: z.array(JobSummary), next_cursor: z.string().nullable() })
	.openapi("JobList", { example: { data: [SUMMARY], next_cursor: null } });
