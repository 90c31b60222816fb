import type { ResponseLike } from "./platform.ts";
import type { Job, Problem } from "./types.ts";
import type { ErrorCode } from "./wire.ts";

/**
 * The class of every error that this package throws. An aborted call is the one exception: it
 * rejects with the signal's own reason.
 *
 * @example
 * ```ts
 * import { MiniGPT4Error } from "minigpt4";
 *
 * try {
 * 	await client.uploads.create("no-such-file.jpg");
 * } catch (error) {
 * 	if (!(error instanceof MiniGPT4Error)) throw error;
 * 	console.log(error.code, error.message);
 * }
 * ```
 */
export class MiniGPT4Error extends Error {
	/** Names the failure. Codes stay the same from version to version; messages may change. */
	readonly code: string;

	constructor(code: string, message: string, options?: { cause?: unknown }) {
		super(message, options);
		this.code = code;
		this.name = new.target.name;
	}
}

/**
 * The API refused the call. `code` tells why, and `message` what to do about it. Each status has a
 * class of its own below.
 *
 * @example
 * ```ts
 * import { APIError, PaymentError } from "minigpt4";
 *
 * try {
 * 	await client.jobs.run({ prompt: "Hello", max_tokens: 0 });
 * } catch (error) {
 * 	if (error instanceof PaymentError) console.log("Add credit:", error.message);
 * 	else if (error instanceof APIError)
 * 		console.log(error.status, error.code, error.field, error.message);
 * 	else throw error;
 * }
 * ```
 */
export class APIError extends MiniGPT4Error {
	declare readonly code: ErrorCode | "unknown";
	/** The status of the HTTP response. */
	readonly status: number;
	/** Identifies the call in the operator's logs. Null if the response is not the API's own. */
	readonly requestId: string | null;
	/** The member of the request that is wrong, as a path such as `images[0].url`. */
	readonly field: string | undefined;
	/** Seconds to wait before another try. */
	readonly retryAfter: number | undefined;
	/** The whole body of the response (RFC 9457). */
	readonly problem: Problem | undefined;

	constructor(
		response: Pick<ResponseLike, "status" | "headers">,
		problem: Problem | undefined,
	) {
		const { status } = response;
		super(
			problem?.code ?? "unknown",
			problem?.detail ?? `The server answered ${status}.`,
		);
		this.status = status;
		this.problem = problem;
		this.requestId =
			problem?.request_id ?? response.headers.get("X-Request-Id");
		this.field = problem?.field;
		this.retryAfter =
			secondsOf(response.headers.get("Retry-After")) ?? problem?.retry_after;
	}
}

/** 401: the API key is missing, wrong or revoked. */
export class AuthenticationError extends APIError {}
/** 402: the account does not have enough credit. */
export class PaymentError extends APIError {}
/** 403: the key may not do this. */
export class PermissionError extends APIError {}
/** 404: the account has nothing under this id. */
export class NotFoundError extends APIError {}
/** 409: the request contradicts what exists, such as a job id that is taken. */
export class ConflictError extends APIError {}
/** 410: it existed, and was deleted or expired. */
export class GoneError extends APIError {}
/** 429: too many requests or jobs. Try again after `retryAfter` seconds. */
export class RateLimitError extends APIError {}
/** 400, 413, 415, 422 and other 4xx: the request is wrong; `field` says where. */
export class RequestError extends APIError {}
/** 500 and above: the API or a service behind it failed. */
export class ServerError extends APIError {}

const CLASSES: Record<number, typeof APIError> = {
	401: AuthenticationError,
	402: PaymentError,
	403: PermissionError,
	404: NotFoundError,
	409: ConflictError,
	410: GoneError,
	429: RateLimitError,
};

/** Reads the body of a response that is not ok, and returns its error. @internal */
export async function errorOf(response: ResponseLike): Promise<APIError> {
	const body = (await response.json().catch(() => null)) as Problem | null;
	const problem = typeof body?.code === "string" ? body : undefined;
	const { status } = response;
	const Class = CLASSES[status] ?? (status >= 500 ? ServerError : RequestError);
	return new Class(response, problem);
}

/** The server did not answer, or its answer broke off. */
export class ConnectionError extends MiniGPT4Error {
	declare readonly code: "connection_failed";
	/** @param origin the server's */
	constructor(origin: string, cause: unknown) {
		super("connection_failed", `${origin} could not be reached.`, { cause });
	}
}

/**
 * The browser blocked an upload, because the bucket's CORS rule does not allow the page's origin.
 * Only images over 4 MB go straight from the page to the bucket.
 */
export class CorsError extends MiniGPT4Error {
	declare readonly code: "cors_blocked";
	/**
	 * @param store the bucket's origin
	 * @param page the page's origin
	 */
	constructor(store: string, page: string, cause: unknown) {
		super(
			"cors_blocked",
			[
				`The CORS rule of ${store} does not allow uploads from pages of ${page}.`,
				"The deployment's operator adds that origin to the rule: docs/bucket.md,",
				"or ALLOWED_ORIGINS for `npm start`. Images up to 4 MB need no rule.",
			].join(" "),
			{ cause },
		);
	}
}

/** The server that answered is not the API: a login page, a proxy, another server. */
export class ForeignAnswerError extends MiniGPT4Error {
	declare readonly code: "foreign_answer";
	/** @param origin the server's */
	constructor(origin: string) {
		super(
			"foreign_answer",
			`The answer of ${origin} does not come from the API. Check \`baseURL\`.`,
		);
	}
}

/** The call took longer than `timeout` or `totalTimeout` allows. */
export class TimeoutError extends MiniGPT4Error {
	declare readonly code: "timeout";
	constructor(ms: number) {
		super("timeout", `No answer within ${ms} ms.`);
	}
}

/**
 * The text of a stream cannot be trusted. `stream_broken`: the stream did not reach its end.
 * `stream_mismatch`: the text differs from the one that the API sent.
 */
export class StreamError extends MiniGPT4Error {
	declare readonly code: "stream_broken" | "stream_mismatch";
}

/**
 * The job ended, but not as `succeeded`. A job that failed or expired costs nothing; a canceled one
 * costs what it wrote.
 *
 * @example
 * ```ts
 * import { JobError } from "minigpt4";
 *
 * const stream = client.jobs.stream({ images: ["samples/coffee.jpg"], task: "story" });
 * try {
 * 	for await (const event of stream) if (event.type === "job.queued") await stream.cancel();
 * 	await stream.job();
 * } catch (error) {
 * 	if (!(error instanceof JobError)) throw error;
 * 	console.log(error.job.status, error.job.price);
 * }
 * ```
 */
export class JobError extends MiniGPT4Error {
	/** The job as it ended. */
	readonly job: Job;
	/** The member of the request that is wrong, if one is. */
	readonly field: string | undefined;

	constructor(job: Job) {
		super(
			job.error?.code ?? `job_${job.status}`,
			job.error?.message ?? `The job was ${job.status}.`,
		);
		this.job = job;
		this.field = job.error?.field;
	}
}

/** Reads a Retry-After header, which holds seconds or a date. */
function secondsOf(header: string | null): number | undefined {
	if (!header) return undefined;
	const seconds = Number(header);
	if (seconds >= 0) return seconds;
	const date = Date.parse(header);
	return date ? Math.max(0, (date - Date.now()) / 1000) : undefined;
}
