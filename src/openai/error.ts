/** Errors in OpenAI's shape, with our codes: their clients choose a class by the status. */
import { type Failure, type FailureCode, wire } from "../errors.ts";
import { FAILURES, STATUSES } from "../failures.ts";
import type { OpenAIError } from "../schema/problem.ts";

/** OpenAI's endpoints that this API does not have. `/v1/models` answers in both shapes. */
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
const OPENAI_PATHS = new RegExp(
	`^/v1/(${["chat", "files", ...UNSUPPORTED].join("|")})(/|$)`,
);

export const isOpenAIPath = (path: string): boolean => OPENAI_PATHS.test(path);
export const isModelPath = (path: string): boolean =>
	path.startsWith("/v1/models");

/** A job's error, or a failure by its parts. */
export const errorOf = ({
	code,
	message,
	field,
}: {
	code: FailureCode;
	message: string;
	field?: string | undefined;
}): OpenAIError["error"] => ({
	message,
	type: STATUSES[FAILURES[code].status].openai,
	param: field ?? null,
	code,
});

export const errorOfFailure = (failure: Failure): OpenAIError["error"] =>
	errorOf({
		code: failure.code,
		message: wire(failure).detail,
		field: "field" in failure ? failure.field : undefined,
	});

/** Their clients repeat a 409 or a 5xx by themselves: not where that cannot help. */
export function retryHeaders(code: FailureCode): Record<string, string> {
	const { status, retry = STATUSES[status].retry } = FAILURES[code];
	return retry === false ? { "x-should-retry": "false" } : {};
}
