/** Converts jobs to their wire form. */
import type { z } from "@hono/zod-openapi";
import type { JobIndexRow } from "../contract/account.ts";
import type { JobView } from "../contract/job.ts";
import type { Job, JobSummary } from "./job.ts";

const urls = (origin: string, id: string) => ({
	self: `${origin}/v1/jobs/${id}`,
	events: `${origin}/v1/jobs/${id}/events`,
});

export const jobWire = (view: JobView, origin: string): Job => ({
	id: view.id,
	object: "job",
	status: view.status,
	model: view.model,
	created_at: view.createdAt,
	started_at: view.startedAt,
	finished_at: view.finishedAt,
	images: view.images.map((upload) => ({ upload })),
	output: {
		description: view.description,
		text: view.text,
		finish_reason: view.finishReason,
	},
	usage: {
		images: view.images.length,
		prompt_tokens: view.promptTokens,
		output_tokens: view.outputTokens,
	},
	price: view.price,
	price_parts: view.priceParts,
	price_version: view.priceVersion,
	error: view.error,
	metadata: view.metadata,
	queue: view.queue,
	last_seq: view.lastSeq,
	sha256: view.sha256,
	urls: urls(origin, view.id),
});

/** A row of the Account's job index, as lists show it. */
export const summaryWire = (
	row: JobIndexRow,
	origin: string,
): z.infer<typeof JobSummary> => ({
	id: row.id,
	object: "job",
	status: row.status,
	model: row.model,
	created_at: row.createdAt,
	price: row.price,
	urls: urls(origin, row.id),
});
