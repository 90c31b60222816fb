import type { Answer } from "./platform.ts";
import type { Job, Problem } from "./types.ts";
import type { ErrorCode } from "./wire.ts";

/** Whatever this package throws, but for an abort: that is the signal's own reason. */
export class MiniGPT4Error extends Error {
	/** Says which, and stays the same from version to version. */
	readonly code: string;

	constructor(code: string, message: string, options?: { cause?: unknown }) {
		super(message, options);
		this.code = code;
		this.name = new.target.name;
	}
}

/** The API refused the call. `code` tells why, and `message` what to do about it. */
export class APIError extends MiniGPT4Error {
	declare readonly code: ErrorCode | "unknown";
	/** Of the HTTP answer. */
	readonly status: number;
	/** To quote where something is to be looked up; null where the answer was not the API's own. */
	readonly requestId: string | null;
	/** The member of the request that is wrong. */
	readonly field: string | undefined;
	/** Seconds until another try is worth it. */
	readonly retryAfter: number | undefined;
	/** The whole answer. */
	readonly problem: Problem | undefined;

	constructor(
		response: Pick<Answer, "status" | "headers">,
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

/** 401: no key, or one that is not known (any more). */
export class AuthenticationError extends APIError {}
/** 402: the account has not enough credit. */
export class PaymentError extends APIError {}
/** 403: the key may not do this. */
export class PermissionError extends APIError {}
/** 404: there is no such thing in the account. */
export class NotFoundError extends APIError {}
/** 409: it contradicts what is there. */
export class ConflictError extends APIError {}
/** 410: it was deleted or expired. */
export class GoneError extends APIError {}
/** 429: too many requests or jobs, `retryAfter` seconds long. */
export class RateLimitError extends APIError {}
/** 400, 413, 415, 422: the request is wrong; `field` says where. */
export class RequestError extends APIError {}
/** 500 and above: the API or what is behind it failed. */
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

/** The error of an answer that is not good; reads its body. @internal */
export async function errorOf(response: Answer): Promise<APIError> {
	const body = (await response.json().catch(() => null)) as Problem | null;
	const problem = typeof body?.code === "string" ? body : undefined;
	const { status } = response;
	const Class = CLASSES[status] ?? (status >= 500 ? ServerError : RequestError);
	return new Class(response, problem);
}

/** Nobody answered, or the answer broke off. */
export class ConnectionError extends MiniGPT4Error {
	declare readonly code: "connection_failed";
	/** @param origin whose */
	constructor(origin: string, cause: unknown) {
		super("connection_failed", `${origin} could not be reached.`, { cause });
	}
}

/** The browser kept a page from the store that large images go to, which does not let pages of its origin in. */
export class CorsError extends MiniGPT4Error {
	declare readonly code: "cors_blocked";
	/** @param store its origin @param page the page's */
	constructor(store: string, page: string, cause: unknown) {
		super(
			"cors_blocked",
			`${store} lets no page of ${page} upload (CORS). Its operator adds that origin to the bucket's CORS rule (docs/bucket.md; ALLOWED_ORIGINS for \`npm start\`). Images up to 4 MB do without.`,
			{ cause },
		);
	}
}

/** Somebody answered who is not the API: a login page, a proxy, another server. */
export class ForeignAnswerError extends MiniGPT4Error {
	declare readonly code: "foreign_answer";
	/** @param origin whose */
	constructor(origin: string) {
		super(
			"foreign_answer",
			`${origin} answered, but not as the API does. Check \`baseURL\`.`,
		);
	}
}

/** It took longer than `timeout` or `totalTimeout` allows. */
export class TimeoutError extends MiniGPT4Error {
	declare readonly code: "timeout";
	constructor(ms: number) {
		super("timeout", `No answer within ${ms} ms.`);
	}
}

/** A stream whose text cannot be vouched for: `stream_broken`, it never came to its end; `stream_mismatch`, it is not what the API sent. */
export class StreamError extends MiniGPT4Error {
	declare readonly code: "stream_broken" | "stream_mismatch";
}

/** The job ended without success; nothing was charged for one that failed or expired. */
export class JobError extends MiniGPT4Error {
	readonly job: Job;
	/** The member of the request that is wrong, where one is. */
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

/** Seconds, from a Retry-After header: a number, or a date. */
function secondsOf(header: string | null): number | undefined {
	if (!header) return undefined;
	const seconds = Number(header);
	if (seconds >= 0) return seconds;
	const date = Date.parse(header);
	return date ? Math.max(0, (date - Date.now()) / 1000) : undefined;
}
