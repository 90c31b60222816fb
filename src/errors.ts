/**
 * How failures travel. Objects return them as values, because an error class does not survive RPC;
 * routes throw them as `ApiError`, and `app.onError` writes the problem details (RFC 9457).
 */
import {
	type AboutFailure,
	FAILURES,
	STATUSES,
	type Status,
} from "./failures.ts";

export type FailureCode = keyof typeof FAILURES;

/** A code with the members that its entry in the table has. */
export type Failure = {
	[Code in FailureCode]: {
		code: Code;
	} & ((typeof FAILURES)[Code] extends AboutFailure<infer Members>
		? Members
		: never);
}[FailureCode];

/** What a failure says to the caller, whichever shape the answer has. */
export function wire(failure: Failure): {
	title: string;
	status: Status;
	detail: string;
} {
	const { status, detail } = FAILURES[failure.code] as AboutFailure<Failure>;
	return {
		title: STATUSES[status].title,
		status,
		detail: typeof detail === "string" ? detail : detail(failure),
	};
}

/** A failure on its way through a route to `app.onError`. */
export class ApiError extends Error {
	readonly failure: Failure;

	constructor(failure: Failure) {
		super(failure.code);
		this.failure = failure;
	}
}

/** What an object answers over RPC: the value's fields, or why not. */
export type Result<T extends object> =
	| ({ ok: true } & T)
	| { ok: false; failure: Failure };

export const failed = (failure: Failure): { ok: false; failure: Failure } => ({
	ok: false,
	failure,
});

/** The value of a result, also of one that came over RPC. @throws ApiError with its failure */
export function unwrap<R extends Result<object>>(
	result: R,
): Extract<R, { ok: true }> {
	if (!result.ok) throw new ApiError(result.failure);
	return result as Extract<R, { ok: true }>;
}
