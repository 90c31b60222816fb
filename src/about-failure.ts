/** What the API says of a failure: of its status, and of its code. */

interface AboutStatus {
	/** Title of the problem details. */
	title: string;
	/** Type of the error in OpenAI's shape. */
	openai: string;
	headers?: Record<string, string>;
	/**
	 * `false` tells OpenAI's clients not to repeat the call by themselves, because it cannot help.
	 */
	retry?: false;
}

const statuses = <Status extends number>(rows: Record<Status, AboutStatus>) =>
	rows;

export const STATUSES = statuses({
	400: { title: "Bad request", openai: "invalid_request_error" },
	401: {
		title: "Not authenticated",
		openai: "authentication_error",
		headers: { "WWW-Authenticate": "Bearer" },
	},
	402: { title: "Payment required", openai: "insufficient_quota" },
	403: { title: "Not allowed", openai: "permission_error" },
	404: { title: "Not found", openai: "invalid_request_error" },
	405: { title: "Method not allowed", openai: "invalid_request_error" },
	409: { title: "Conflict", openai: "invalid_request_error", retry: false },
	410: { title: "Gone", openai: "invalid_request_error" },
	413: { title: "Too large", openai: "invalid_request_error" },
	415: { title: "Unsupported media type", openai: "invalid_request_error" },
	422: { title: "Unprocessable", openai: "invalid_request_error" },
	429: { title: "Too many", openai: "rate_limit_error" },
	500: { title: "Internal error", openai: "server_error" },
	502: { title: "Model failed", openai: "server_error" },
	503: {
		title: "Unavailable",
		openai: "server_error",
		headers: { "Retry-After": "2" },
	},
});

export type Status = keyof typeof STATUSES;

/** @template Members what a failure says beside its code: its members in the problem details */
export interface AboutFailure<Members> {
	status: Status;
	/** What went wrong and what the caller can do about it. */
	detail: string | ((members: Members) => string);
	/** Members of one failure, for the OpenAPI document. A code without an example has no members. */
	example?: Members;
	/** Beside those of the status. */
	headers?: Record<string, string>;
	/** As in `AboutStatus`. */
	retry?: false;
}

/** Infers the members of each code from its example. */
export const failures = <Members>(
	rows: {
		[Code in keyof Members]: AboutFailure<Members[Code]>;
	},
) => rows;

/** For codes whose failures do not always name a field of the request. */
export const NO_FIELD: { field?: string } = {};
