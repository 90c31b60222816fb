/**
 * Errors in OpenAI's shape, with this API's codes. OpenAI's clients choose a class by the status.
 */
import { type Failure, type FailureCode, wire } from "../errors.ts";
import { FAILURES, STATUSES } from "../failures.ts";
import type { OpenAIError } from "../schema/problem.ts";

/** The error object for a code, with the message and field of a job's error or of a failure. */
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

/** OpenAI's clients retry a 409 or a 5xx. This header stops them where a retry cannot help. */
export function retryHeaders(code: FailureCode): Record<string, string> {
	const { status, retry = STATUSES[status].retry } = FAILURES[code];
	return retry === false ? { "x-should-retry": "false" } : {};
}
