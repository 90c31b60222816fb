/** Errors in OpenAI's shape, with our codes: their clients choose a class by the status and show the rest. */

export interface OpenAIError {
	message: string;
	type: string;
	/** The request's member that is wrong. */
	param: string | null;
	code: string;
}

/** Routes of OpenAI's, whether we have them or not; `/v1/models` was ours first, and answers in both shapes. */
export const UNSUPPORTED = [
	"assistants",
	"audio",
	"batches",
	"completions",
	"conversations",
	"embeddings",
	"images",
	"moderations",
	"responses",
	"threads",
] as const;
const THEIRS = new RegExp(
	`^/v1/(${["chat", "files", ...UNSUPPORTED].join("|")})(/|$)`,
);

export const speaksOpenAI = (path: string): boolean => THEIRS.test(path);
export const isModel = (path: string): boolean => path.startsWith("/v1/models");

export const errorOf = ({
	status,
	code,
	message,
	field,
}: {
	status: number;
	code: string;
	message: string;
	field?: string | undefined;
}): OpenAIError => ({
	message,
	type: typeOf(status),
	param: field ?? null,
	code,
});

/** Their clients repeat a 409 or a 5xx by themselves: not where that cannot help. */
export const retrying = (
	status: number,
	code: string,
): Record<string, string> =>
	status === 409 || FINAL.has(code) ? { "x-should-retry": "false" } : {};

/** It was tried as often as it was worth. */
const FINAL = new Set(["backend_failed", "job_expired"]);

function typeOf(status: number): string {
	switch (status) {
		case 401:
			return "authentication_error";
		case 402:
			return "insufficient_quota";
		case 403:
			return "permission_error";
		case 429:
			return "rate_limit_error";
		default:
			return status >= 500 ? "server_error" : "invalid_request_error";
	}
}
