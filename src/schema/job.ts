import { z } from "@hono/zod-openapi";
import { SAMPLING } from "../contract/sampling.ts";
import { JOB_ID } from "../ids.ts";
import { TASKS } from "../tasks.ts";
import { ImageSource, UploadId } from "./image.ts";
import { lean, leanJob, leanMessage } from "./nothing.ts";
import { JobWebhook } from "./webhook.ts";

const tasks = Object.keys(TASKS) as [
	keyof typeof TASKS,
	...(keyof typeof TASKS)[],
];

/** Largest body of a job: four images inline as base64, and room for the rest. */
export const JOB_BODY_LIMIT = 24 * 1024 * 1024;

export const JobId = z
	.string()
	.regex(JOB_ID, "is no job id")
	.openapi({ example: "01JD8Z6Q3V9Y4K2M7N5P8R1S3T" });

/** UTF-16 units of one text. */
export const LONGEST_TEXT = 32_768;
/** Messages that one request may bring. */
export const MOST_MESSAGES = 64;

const ContentPart = z.discriminatedUnion("type", [
	z.strictObject({
		type: z.literal("text"),
		text: z.string().max(LONGEST_TEXT),
	}),
	z.strictObject({ type: z.literal("image") }),
]);

/** A turn of a conversation. The n-th `image` part of a request takes `images[n]`. */
export const Message = z
	.strictObject({
		role: z.enum(["system", "user", "assistant"]),
		content: z.union([
			z.string().max(LONGEST_TEXT),
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
export type Message = z.infer<typeof Message>;

const Parameters = z
	.strictObject({
		model: z.string().max(64).optional().openapi({
			description: "One of GET /v1/models; the first of them when left out",
			example: "nano",
		}),
		images: z
			.array(z.preprocess((image) => lean(image), ImageSource))
			.max(4)
			.default([])
			.openapi({
				description: "At least one for a `task`",
			}),
		prompt: z
			.string()
			.min(1)
			.max(LONGEST_TEXT)
			.optional()
			.openapi({ example: "What is in this picture?" }),
		task: z.enum(tasks).optional(),
		messages: z
			.array(z.preprocess(leanMessage, Message))
			.min(1)
			.max(MOST_MESSAGES)
			.optional()
			.openapi({
				description:
					"A conversation, instead of `prompt`. The last message is the user's; only a user's message holds images. The n-th `image` part takes `images[n]`; images that no part takes come before the first user message's text.",
			}),
		previous_job: JobId.optional().openapi({
			description:
				"Goes on from this job: its whole conversation, its answer and its images come before `prompt` or `messages`. It must have ended, and neither failed nor be gone.",
		}),
		...SAMPLING,
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
					"Seconds from the job's end after which it is deleted, with the images that came along.",
			}),
		on_disconnect: z.enum(["continue", "cancel"]).default("continue").openapi({
			description:
				"`cancel` cancels the job when its last reader left and none came back: within ten seconds to a stream, which knows its place; within two to a call that waited (`Prefer: wait`), which can only be repeated.",
		}),
		webhook: JobWebhook.optional().openapi({
			description:
				"Where this job is told of, beside the account's webhooks: signed with the account's secret (GET /v1/webhooks/secret).",
		}),
	})
	.superRefine(checkAsked);

export const JobRequest = z
	.preprocess(leanJob, Parameters)
	.openapi("JobRequest", {
		description:
			"A member that is null or empty counts as left out, and so does one that this API does not have and that is `false` or 0. In `messages` an answer may have what clients attach to it.",
		example: {
			model: "nano",
			images: [{ upload: "img_01JD8Z6Q3V9Y4K2M7N5P8R1S3T" }],
			prompt: "What is in this picture?",
			max_tokens: 60,
			temperature: 0,
		},
	});
export type JobRequest = z.infer<typeof JobRequest>;

/** What no member alone can get wrong. */
function checkAsked(
	job: {
		prompt?: string | undefined;
		task?: string | undefined;
		messages?: Message[] | undefined;
		previous_job?: string | undefined;
		images: unknown[];
	},
	context: z.core.$RefinementCtx,
): void {
	const wrong = (path: (string | number)[], message: string) =>
		context.addIssue({ code: "custom", path, message });
	const { prompt, task, messages, previous_job, images } = job;
	const asked = [prompt, task, messages].filter((way) => way !== undefined);
	if (asked.length !== 1)
		wrong(["prompt"], "or `task` or `messages`: send exactly one of them");
	else if (task !== undefined && previous_job !== undefined)
		wrong(["task"], "is asked about images alone: send `prompt` instead");
	else if (task !== undefined && images.length === 0)
		wrong(["images"], "a `task` needs at least one");
	if (!messages) return;
	let parts = 0;
	for (const [n, { role, content }] of messages.entries())
		for (const [m, part] of typeof content === "string"
			? []
			: content.entries()) {
			if (part.type !== "image") continue;
			const path = ["messages", n, "content", m];
			if (role !== "user") wrong(path, "only a user's message holds images");
			else if (++parts > images.length)
				wrong(
					path,
					`is image part ${parts}, and \`images\` has ${images.length}`,
				);
		}
	const last = messages.length - 1;
	if (messages[last]?.role !== "user")
		wrong(["messages", last, "role"], "the last message must be the user's");
}

export const JobStatus = z.enum([
	"queued",
	"provisioning",
	"running",
	"succeeded",
	"failed",
	"canceled",
	"expired",
]);

const Quantiles = z.object({ p50: z.int(), p90: z.int() });

/** Milliseconds from now by which half, and nine tenths, of such jobs are there. */
export const Eta = z
	.object({
		start: Quantiles,
		first_token: Quantiles,
		finish: Quantiles,
		/** A worker must start first; the figures know. */
		cold: z.boolean(),
	})
	.openapi("Eta");

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
		/** The text so far. */
		output: z.object({
			text: z.string(),
			finish_reason: z.enum(["stop", "length"]).nullable(),
		}),
		usage: z.object({
			images: z.int(),
			prompt_tokens: z.int().nullable(),
			output_tokens: z.int(),
		}),
		/** Micro-USD; null until the job settled. A failed or expired job costs 0, a canceled one its share of the tokens. */
		price: z.int().nullable(),
		error: z
			.object({
				code: z.string(),
				message: z.string(),
				field: z.string().optional(),
			})
			.nullable(),
		metadata: z.record(z.string(), z.string()),
		/** Where it stands while it waits, as far as that can be said; else null. */
		queue: z
			.object({
				position: z.int().openapi({ description: "1 is next" }),
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
				text: "The photo shows a tabby cat with green eyes.",
				finish_reason: "stop",
			},
			usage: { images: 1, prompt_tokens: 94, output_tokens: 11 },
			price: 1_000,
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
	price: 1_000,
	urls: {
		self: "http://127.0.0.1:8787/v1/jobs/01JD8Z6Q3V9Y4K2M7N5P8R1S3T",
		events: "http://127.0.0.1:8787/v1/jobs/01JD8Z6Q3V9Y4K2M7N5P8R1S3T/events",
	},
};

export const JobSummary = z
	.object({
		id: z.string(),
		object: z.literal("job"),
		/** `accepted` until the job settled; GET the job for more. */
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
