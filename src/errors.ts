/**
 * Every way a call can fail: one tagged union, mapped to the wire once.
 *
 * Objects return failures as values (an error class does not survive RPC); routes throw them as `ApiError`
 * and `app.onError` writes the problem details (RFC 9457). A new code fails to compile until it is mapped.
 */

export type Failure =
	| { code: "missing_key" }
	| { code: "invalid_key" }
	| { code: "revoked_key" }
	| { code: "invalid_admin_secret" }
	/** `origin`: as the page's browser sent it. */
	| { code: "origin_not_allowed"; origin: string }
	| { code: "origin_required" }
	| { code: "bound_key"; field?: string }
	| { code: "last_key" }
	| { code: "too_many_keys"; limit: number }
	| { code: "not_found" }
	| { code: "method_not_allowed" }
	| { code: "account_not_found" }
	| { code: "key_not_found" }
	| { code: "job_not_found"; field?: string }
	| { code: "upload_not_found"; field?: string }
	| { code: "body_required" }
	| { code: "body_incomplete" }
	| { code: "invalid_json" }
	| { code: "unsupported_media_type"; expected: string }
	| { code: "unsupported_encoding"; encoding: string }
	| { code: "body_too_large"; limit: number }
	| { code: "invalid_request"; field: string; detail: string }
	| { code: "model_not_found"; model: string; known: string[] }
	| {
			code: "context_length_exceeded";
			field?: string;
			tokens: number;
			context_length: number;
	  }
	/** `available`: not told to keys that see only their own. */
	| { code: "insufficient_credit"; available?: number; price: number }
	| { code: "id_conflict" }
	| { code: "idempotency_conflict" }
	| { code: "job_not_finished" }
	| { code: "previous_job_unfinished"; field: string }
	| { code: "previous_job_failed"; field: string }
	| { code: "image_gone"; field: string }
	| { code: "job_canceled" }
	| { code: "job_expired" }
	| { code: "unsupported_endpoint" }
	/** `retry_after`: seconds. */
	| { code: "rate_limited"; limit: number; retry_after: number }
	| { code: "too_many_jobs"; limit: number; retry_after: number }
	| { code: "job_gone"; field?: string }
	| { code: "credit_conflict" }
	| { code: "image_type_unsupported"; field: string }
	| { code: "image_truncated"; field: string }
	| {
			code: "image_dimensions";
			field: string;
			width: number;
			height: number;
			detail: string;
	  }
	| { code: "image_too_large"; field: string; limit: number }
	| { code: "image_undecodable"; field: string }
	| { code: "image_in_use"; field: string }
	| { code: "upload_incomplete"; field?: string }
	| { code: "upload_not_finalized"; field: string }
	| { code: "upload_mismatch"; detail: string }
	| { code: "url_refused"; field: string; detail: string }
	| { code: "url_unreachable"; field: string; detail: string }
	| { code: "storage_unavailable" }
	| { code: "backend_failed" }
	| { code: "webhook_not_found" }
	| { code: "webhook_disabled" }
	| { code: "too_many_webhooks"; limit: number }
	| { code: "event_not_found"; field: string }
	/** `oldest`: sequence number of the oldest event that is kept. */
	| { code: "events_gone"; field: string; oldest: number }
	| { code: "too_many_readers" }
	| { code: "internal_error" };

export type FailureCode = Failure["code"];

interface Wire {
	status:
		| 400
		| 401
		| 402
		| 403
		| 404
		| 405
		| 409
		| 410
		| 413
		| 415
		| 422
		| 429
		| 500
		| 502
		| 503;
	/** What went wrong and what to do about it, in words for the caller. */
	detail: string;
}

/** The one map from a failure to its HTTP status and public words. */
export function wire(failure: Failure): Wire {
	switch (failure.code) {
		case "missing_key":
			return {
				status: 401,
				detail: "Send your API key as `Authorization: Bearer mg_live_…`.",
			};
		case "invalid_key":
			return {
				status: 401,
				detail:
					"This is no key of ours. Copy the whole key, from `mg_live_` to its end.",
			};
		case "revoked_key":
			return {
				status: 401,
				detail: "This key was revoked. Use another key of the account.",
			};
		case "origin_not_allowed":
			return {
				status: 403,
				detail: `This key does not work on pages of ${failure.origin}: its \`origins\` do not list that. Use a key that lists it, made with POST /v1/keys from your server.`,
			};
		case "origin_required":
			return {
				status: 403,
				detail:
					"This key has `origins`: it works on their pages alone, whose browser sends `Origin`. On a server, use a key without `origins`.",
			};
		case "bound_key":
			return {
				status: 403,
				detail: failure.field
					? `This key has \`origins\`, so it is out in pages: it names no \`${failure.field}\`. Leave it out, or use a key without \`origins\`.`
					: "This key has `origins`, so it is out in pages: it has its own jobs and uploads, but no part in the account's keys, webhooks, events and balance. Use a key without `origins`.",
			};
		case "last_key":
			return {
				status: 409,
				detail:
					"This is the last key that can make others; without it the account were locked. Create another one without `origins` first: POST /v1/keys.",
			};
		case "too_many_keys":
			return {
				status: 409,
				detail: `The account has ${failure.limit} keys. Revoke one that is no longer used: DELETE /v1/keys/{id}.`,
			};
		case "invalid_admin_secret":
			return {
				status: 401,
				detail: "Send the admin secret as `Authorization: Bearer …`.",
			};
		case "not_found":
			return {
				status: 404,
				detail:
					"There is nothing at this path. /openapi.json lists what there is.",
			};
		case "method_not_allowed":
			return {
				status: 405,
				detail:
					"This path exists, but not for this method. See the Allow header.",
			};
		case "account_not_found":
			return { status: 404, detail: "There is no such account." };
		case "key_not_found":
			return { status: 404, detail: "The account has no such key." };
		case "job_not_found":
			return { status: 404, detail: "Your account has no such job." };
		case "upload_not_found":
			return {
				status: 404,
				detail:
					"Your account has no such upload. Upload the image first, or check the id.",
			};
		case "body_required":
			return {
				status: 400,
				detail: "The request has no body; this route needs one.",
			};
		case "body_incomplete":
			return {
				status: 400,
				detail:
					"The connection broke before the body was whole. Send the request again.",
			};
		case "invalid_json":
			return { status: 400, detail: "The body is not valid JSON." };
		case "unsupported_media_type":
			return { status: 415, detail: `Send the body as ${failure.expected}.` };
		case "unsupported_encoding":
			return {
				status: 415,
				detail: `The body is compressed (\`Content-Encoding: ${failure.encoding}\`). Send it as it is, without that header.`,
			};
		case "body_too_large":
			return {
				status: 413,
				detail: `The body is over ${failure.limit} bytes. Send large images with a presigned upload.`,
			};
		case "invalid_request":
			return { status: 400, detail: failure.detail };
		case "model_not_found":
			return {
				status: 404,
				detail: `There is no model "${failure.model}". There is: ${failure.known.join(", ")}.`,
			};
		case "context_length_exceeded":
			return {
				status: 400,
				detail: `The prompt needs at least ${failure.tokens} tokens and the model reads ${failure.context_length}, answer included. Shorten it or send fewer images.`,
			};
		case "insufficient_credit":
			return {
				status: 402,
				detail: `This job may cost ${failure.price} micro-USD and ${failure.available ?? "fewer"} are available. Add credit, or wait for running jobs to settle.`,
			};
		case "id_conflict":
			return {
				status: 409,
				detail: "This job id was used for another request. Choose a new id.",
			};
		case "idempotency_conflict":
			return {
				status: 409,
				detail:
					"This Idempotency-Key was used for another request. Send that request again, or choose a new key.",
			};
		case "job_not_finished":
			return {
				status: 409,
				detail:
					"The job has not ended. Cancel it first: POST /v1/jobs/{id}/cancel.",
			};
		case "rate_limited":
			return {
				status: 429,
				detail: `Your account may make ${failure.limit} requests a minute. Try again in ${failure.retry_after} s.`,
			};
		case "too_many_jobs":
			return {
				status: 429,
				detail: `Your account has ${failure.limit} jobs that have not ended, and may have no more. Try again when one of them ends.`,
			};
		case "previous_job_unfinished":
			return {
				status: 409,
				detail:
					"The job to go on from has not ended. Wait for its end: GET it with `Prefer: wait`, or read its events.",
			};
		case "previous_job_failed":
			return {
				status: 409,
				detail:
					"The job to go on from has no answer: it failed, or expired before it ran. Ask it again, or send the conversation as `messages`.",
			};
		case "image_gone":
			return {
				status: 410,
				detail:
					"An image of the job to go on from was deleted. Send the conversation as `messages`, with the image.",
			};
		case "job_canceled":
			return {
				status: 409,
				detail:
					"The job was canceled before its answer was whole. What it said is at /v1/jobs/{id}, see X-Job-Id; ask again under a new Idempotency-Key.",
			};
		case "job_expired":
			return {
				status: 503,
				detail:
					"No worker was free in time. Nothing was charged; try again later.",
			};
		case "unsupported_endpoint":
			return {
				status: 404,
				detail:
					"This API does not have that endpoint of OpenAI's. Use POST /v1/chat/completions; in OpenAI's packages that is `client.chat.completions.create`.",
			};
		case "job_gone":
			return {
				status: 410,
				detail: failure.field
					? "The job to go on from was deleted or expired. Send the conversation as `messages`, with its images."
					: "This job was deleted or expired. Its id is never run again: choose a new one.",
			};
		case "credit_conflict":
			return {
				status: 409,
				detail: "This credit id was used with another amount. Choose a new id.",
			};
		case "image_type_unsupported":
			return {
				status: 422,
				detail: "The bytes are no JPEG, PNG, WebP or GIF image.",
			};
		case "image_truncated":
			return {
				status: 422,
				detail: "The image ends too early. Send the whole file.",
			};
		case "image_dimensions":
			return {
				status: 422,
				detail: `The image is ${failure.width} x ${failure.height}: ${failure.detail}`,
			};
		case "image_too_large":
			return {
				status: 413,
				detail: `The image is over ${failure.limit} bytes. Scale it down; the model sees a few hundred pixels a side.`,
			};
		case "image_undecodable":
			return {
				status: 422,
				detail:
					"The image has a valid header but cannot be decoded. Save it again and retry.",
			};
		case "image_in_use":
			return {
				status: 409,
				detail:
					"The upload was deleted and only lives on for running jobs. Upload it again.",
			};
		case "upload_incomplete":
			return {
				status: 409,
				detail:
					"Nothing was stored for this upload yet. PUT the bytes to its URL, then finalize.",
			};
		case "upload_not_finalized":
			return {
				status: 409,
				detail:
					"The upload is not finalized. POST /v1/uploads/{id}/finalize first.",
			};
		case "upload_mismatch":
			return { status: 409, detail: failure.detail };
		case "url_refused":
			return { status: 422, detail: failure.detail };
		case "url_unreachable":
			return { status: 422, detail: failure.detail };
		case "storage_unavailable":
			return {
				status: 503,
				detail:
					"The image store does not answer. Nothing was charged; try again.",
			};
		case "backend_failed":
			return {
				status: 502,
				detail:
					"The model could not finish this job after several attempts. Nothing was charged.",
			};
		case "webhook_not_found":
			return { status: 404, detail: "Your account has no such webhook." };
		case "webhook_disabled":
			return {
				status: 409,
				detail:
					'The webhook is disabled. Enable it first: PATCH it with {"status": "enabled"}.',
			};
		case "too_many_webhooks":
			return {
				status: 409,
				detail: `Your account has ${failure.limit} webhooks and may have no more. Delete one, or let one receiver hand the events on.`,
			};
		case "event_not_found":
			return {
				status: 404,
				detail:
					"Your account's feed has no such event. Ids are in GET /v1/events and in the webhook's deliveries.",
			};
		case "events_gone":
			return {
				status: 410,
				detail: `Events are kept for 30 days, and the oldest is ${failure.oldest} now. Go on from ${failure.oldest - 1}, and list the jobs of the time before.`,
			};
		case "too_many_readers":
			return {
				status: 503,
				detail:
					"This job has as many readers as it can feed. Try again, or GET the job.",
			};
		case "internal_error":
			return {
				status: 500,
				detail:
					"Something broke on our side. Nothing was charged; quote the request id.",
			};
		default:
			return unmapped(failure);
	}
}

function unmapped(failure: never): never {
	throw new Error(`unmapped failure ${JSON.stringify(failure)}`);
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

/** The value of a result, also of one that came over RPC; throws its failure as `ApiError`. */
export function unwrap<R extends Result<object>>(
	result: R,
): Extract<R, { ok: true }> {
	if (!result.ok) throw new ApiError(result.failure);
	return result as Extract<R, { ok: true }>;
}
