/**
 * Reads a request for a job: body, deadlines and name. Refuses what cannot run before anything is
 * stored.
 */
import canonicalize from "canonicalize";
import type { JobSpec, Message } from "../contract/job.ts";
import type { Sampling, SamplingRequest } from "../contract/sampling.ts";
import { sha256 } from "../crypto.ts";
import { ApiError } from "../errors.ts";
import { JOB_ID } from "../ids.ts";
import type { Model } from "../models.ts";
import { leastPromptTokens } from "../pricing/bound.ts";
import type { JobRequest } from "../schema/job.ts";
import type { JobWebhook } from "../schema/webhook.ts";
import { TASKS, type Task } from "../tasks.ts";
import {
	type Conversation,
	type ImageInput,
	imagesIn,
	turnsOf,
} from "./conversation.ts";

/** A request for a job, the same for every route. */
export interface JobInput {
	/** Null for the model of the job that this one continues, or else the default model. */
	model: string | null;
	/** The turns of this request, without those of the job that it continues. */
	turns: Conversation<ImageInput>;
	/** The request's fields that hold the texts and the images, for errors. */
	fields: { texts: string; images: string };
	/** The task whose prompt is the text of `turns`; null for any other request. */
	task: Task | null;
	previousJob: string | null;
	/**
	 * Where `max_tokens` is null it becomes a quarter of the model's context, which every worker
	 * keeps free for the answer.
	 */
	sampling: Omit<SamplingRequest, "max_tokens"> & {
		max_tokens?: number | null | undefined;
	};
	/** The most that the job may cost, in micro-USD; null for whatever its size makes it cost. */
	maxPrice: number | null;
	/** The token of a quote for this request. */
	quote: string | null;
	metadata: Record<string, string>;
	/** Seconds. */
	expiresIn: number;
	onDisconnect: JobSpec["onDisconnect"];
	deadlines: Deadlines;
	/** The job's own webhook, where the request names one. */
	webhook?: JobWebhook | undefined;
	/** What a repeat of the request must equal, apart from the images. */
	hashInput: object;
	/** Whether the caller marks this call as a repeat of an earlier one. */
	isRepeat: boolean;
}

/** A request's headers, by Hono's `c.req`. */
export interface Headers {
	header: (name: string) => string | undefined;
}

/**
 * @param rawBody the body as sent, before defaults
 * @throws ApiError `invalid_request` naming a header
 */
export const jobInputOf = (
	request: JobRequest,
	rawBody: object,
	headers: Headers,
): JobInput => ({
	model: request.model ?? null,
	turns: turnsOf(request),
	fields: {
		texts: request.messages ? "messages" : "prompt",
		images: "images",
	},
	task: request.task ?? null,
	previousJob: request.previous_job ?? null,
	sampling: request,
	maxPrice: request.max_price ?? null,
	quote: request.quote ?? null,
	metadata: request.metadata,
	expiresIn: request.expires_in,
	onDisconnect: request.on_disconnect,
	deadlines: deadlinesOf(headers),
	webhook: request.webhook,
	hashInput: rawBody,
	// OpenAI's clients send this header on each retry.
	isRepeat: /^[1-9]\d*$/.test(headers.header("X-Stainless-Retry-Count") ?? ""),
});

const MAX_TOKENS = 300;

/** The most tokens that the job may write. */
export function maxTokensOf(
	{ sampling, task }: JobInput,
	{ contextLength }: Model,
): number {
	const { max_tokens = task ? TASKS[task].maxTokens : MAX_TOKENS } = sampling;
	return Math.min(max_tokens ?? Math.floor(contextLength / 4), contextLength);
}

/** How the job samples: as its request says, else as its task and model do. */
export function samplingFor(input: JobInput, model: Model): Sampling {
	const { sampling } = input;
	const { temperature, topP, repetitionPenalty } = model.sampling;
	return {
		max_tokens: maxTokensOf(input, model),
		temperature: sampling.temperature ?? temperature,
		// A worker takes no 0. This value allows the likeliest token only, as 0 does.
		top_p: Math.max(sampling.top_p ?? topP, 1e-6),
		repetition_penalty: sampling.repetition_penalty ?? repetitionPenalty,
		seed: sampling.seed ?? randomSeed(),
		stop: sampling.stop,
	};
}

const randomSeed = (): number =>
	crypto.getRandomValues(new Uint32Array(1))[0] as number;

/**
 * Refuses a conversation that cannot fit the model, however it is tokenized. One that only the
 * tokenizer finds too long fails later, at price 0.
 * @throws ApiError `invalid_request`, `context_length_exceeded`
 */
export function checkFits(
	messages: readonly Message[],
	model: Model,
	fields: JobInput["fields"],
): void {
	const images = imagesIn(messages);
	if (images > model.maxImages)
		throw new ApiError({
			code: "invalid_request",
			field: fields.images,
			detail:
				`\`${fields.images}\`: ${model.id} takes at most ` +
				`${model.maxImages} images in a conversation.`,
		});
	const tokens = leastPromptTokens(model, messages);
	// The answer needs at least one token of the context.
	if (tokens + 1 > model.contextLength)
		throw new ApiError({
			code: "context_length_exceeded",
			field: fields.texts,
			tokens,
			context_length: model.contextLength,
		});
}

/**
 * SHA-256 of the request as canonical JSON (RFC 8785), without its images.
 * @param hashInput see `JobInput`
 * @throws ApiError `invalid_request` for a text that is not valid Unicode
 */
export async function requestHash(hashInput: object): Promise<string> {
	let canonical: string | undefined;
	try {
		canonical = canonicalize({ ...hashInput, images: undefined });
	} catch {
		throw new ApiError({
			code: "invalid_request",
			field: "body",
			detail:
				"A text in the body holds half of a surrogate pair. Send Unicode.",
		});
	}
	return sha256(canonical ?? "");
}

/** The seconds of a `Prefer: wait=n` header (RFC 7240), at most 60; null without one. */
export function preferredWait(prefer: string | undefined): number | null {
	const seconds = /(?:^|[,;\s])wait\s*=\s*"?(\d{1,9})"?\s*(?:$|[,;])/i.exec(
		prefer ?? "",
	)?.[1];
	return seconds === undefined ? null : Math.min(60, Number(seconds));
}

/** Checks a job id that a caller chose. @throws ApiError `invalid_request` */
export function jobIdOf(id: string): string {
	if (JOB_ID.test(id)) return id;
	throw new ApiError({
		code: "invalid_request",
		field: "id",
		detail:
			"`id` must be a ULID in upper case, 26 characters like 01JD8Z6Q3V9Y4K2M7N5P8R1S3T. " +
			"Any ULID library makes one.",
	});
}

/** The SHA-256 of an `Idempotency-Key`, or null without one. @throws ApiError `invalid_request` */
export async function idempotencyKeyOf(
	key: string | undefined,
): Promise<string | null> {
	if (key === undefined) return null;
	if (/^[\x21-\x7e]{1,255}$/.test(key)) return sha256(key);
	throw new ApiError({
		code: "invalid_request",
		field: "Idempotency-Key",
		detail:
			"`Idempotency-Key` must be 1 to 255 visible ASCII characters, such as a UUID.",
	});
}

/** Seconds from a job's creation. */
export interface Deadlines {
	start: number;
	end: number;
	/** Null for never. */
	cancel: number | null;
}

const HOUR_S = 3_600;

/**
 * Reads the deadlines that `Start-Within` and `Cancel-After` set. Without the headers a job has an
 * hour to start and six to end; longer values in them move the end.
 * @throws ApiError `invalid_request`
 */
export function deadlinesOf(headers: Headers): Deadlines {
	const secondsOf = (name: string) => secondsIn(name, headers.header(name));
	const start = secondsOf("Start-Within") ?? HOUR_S;
	const cancel = secondsOf("Cancel-After");
	const end = Math.max(6 * HOUR_S, start + 5 * HOUR_S, (cancel ?? 0) + 60);
	return { start, end, cancel };
}

/** The same in milliseconds since 1970. */
export const deadlineTimes = (
	{ start, end, cancel }: Deadlines,
	createdAt: number,
): Pick<JobSpec, "startBy" | "endBy" | "cancelAt"> => ({
	startBy: createdAt + start * 1000,
	endBy: createdAt + end * 1000,
	cancelAt: cancel === null ? null : createdAt + cancel * 1000,
});

const UNITS: Record<string, number> = { "": 1, s: 1, m: 60, h: HOUR_S };

/** The seconds of a header such as `90`, `90s`, `15m` or `2h`; null without it. */
function secondsIn(name: string, text: string | undefined): number | null {
	if (text === undefined) return null;
	const [, digits, unit] = /^(\d{1,6})([smh]?)$/.exec(text) ?? [];
	const seconds = Number(digits) * (UNITS[unit ?? ""] ?? 1);
	if (seconds >= 5 && seconds <= 86_400) return seconds;
	throw new ApiError({
		code: "invalid_request",
		field: name,
		detail: `\`${name}\` must be a duration from 5 s to 24 h, such as 90, 90s, 15m or 2h.`,
	});
}
