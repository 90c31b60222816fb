import { z } from "@hono/zod-openapi";
import { TASKS } from "../tasks.ts";
import { ImageSource, UploadId } from "./image.ts";

const tasks = Object.keys(TASKS) as [
	keyof typeof TASKS,
	...(keyof typeof TASKS)[],
];

/** Largest body of a job: four images inline as base64, and room for the rest. */
export const JOB_BODY_LIMIT = 24 * 1024 * 1024;

export const JobRequest = z
	.strictObject({
		model: z.string().max(64).optional().openapi({
			description: "One of GET /v1/models; the first of them when left out",
			example: "nano",
		}),
		images: z.array(ImageSource).min(1).max(4),
		prompt: z
			.string()
			.min(1)
			.max(32_768)
			.optional()
			.openapi({ example: "What is in this picture?" }),
		task: z.enum(tasks).optional(),
		max_tokens: z.int().min(1).max(2048).default(300),
		/** 0 is greedy. */
		temperature: z.number().min(0).max(2).default(1),
		top_p: z.number().gt(0).max(1).default(0.9),
		repetition_penalty: z.number().min(0.5).max(2).default(1.05),
		/** Drawn at random when left out; part of the job, so that a later attempt goes on from it. */
		seed: z
			.int()
			.min(0)
			.max(2 ** 32 - 1)
			.optional(),
		stop: z
			.union([
				z.string().min(1).max(64),
				z.array(z.string().min(1).max(64)).max(4),
			])
			.optional()
			.transform((stop) =>
				stop === undefined ? [] : Array.isArray(stop) ? stop : [stop],
			),
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
				"`cancel` cancels the job when its last reader left and none came back for ten seconds.",
		}),
	})
	.refine((job) => (job.prompt === undefined) !== (job.task === undefined), {
		path: ["prompt"],
		message: "or `task`: send exactly one of them",
	})
	.openapi("JobRequest");
export type JobRequest = z.infer<typeof JobRequest>;

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
	.openapi("Job");
export type Job = z.infer<typeof Job>;

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
	.openapi("JobSummary");

export const JobList = z
	.object({ data: z.array(JobSummary), next_cursor: z.string().nullable() })
	.openapi("JobList");
