/**
 * Every way a call can fail: one entry for each code, with all that the API says of it. The types
 * of errors.ts, problem details, OpenAI's errors, the examples of the OpenAPI document and the
 * SDK's error codes derive from this table.
 */
import { failures, NO_FIELD } from "./about-failure.ts";
import { KEY_FAILURES } from "./key-failures.ts";
import { MONEY_FAILURES } from "./money-failures.ts";

export { type AboutFailure, STATUSES, type Status } from "./about-failure.ts";

const OTHER_FAILURES = failures({
	// The path.
	not_found: {
		status: 404,
		detail: "There is nothing at this path. /openapi.json lists all paths.",
	},
	method_not_allowed: {
		status: 405,
		detail:
			"This path exists, but not for this method. The Allow header lists the methods that it " +
			"takes.",
	},
	unsupported_endpoint: {
		status: 404,
		detail:
			"This API does not have this endpoint of OpenAI's. Use POST /v1/chat/completions; in " +
			"OpenAI's packages that is `client.chat.completions.create`.",
	},
	account_not_found: { status: 404, detail: "There is no such account." },
	key_not_found: { status: 404, detail: "The account has no such key." },
	job_not_found: {
		status: 404,
		example: NO_FIELD,
		detail: "Your account has no such job.",
	},
	upload_not_found: {
		status: 404,
		example: { field: "images[0].upload" } as { field?: string },
		detail:
			"Your account has no such upload. Upload the image first, or check the id.",
	},
	webhook_not_found: {
		status: 404,
		detail: "Your account has no such webhook.",
	},
	event_not_found: {
		status: 404,
		example: { field: "event" },
		detail:
			"Your account's feed has no such event. GET /v1/events and the webhook's deliveries show " +
			"the ids.",
	},

	// The body.
	body_required: {
		status: 400,
		detail: "The request has no body; this route needs one.",
	},
	body_incomplete: {
		status: 400,
		detail:
			"The connection broke before the whole body had arrived. Send the request again.",
	},
	invalid_json: { status: 400, detail: "The body is not valid JSON." },
	unsupported_media_type: {
		status: 415,
		example: { expected: "application/json" },
		detail: ({ expected }) => `Send the body as ${expected}.`,
	},
	unsupported_encoding: {
		status: 415,
		headers: { "Accept-Encoding": "identity" },
		example: { encoding: "gzip" },
		detail: ({ encoding }) =>
			`The body is compressed (\`Content-Encoding: ${encoding}\`). Send it uncompressed, ` +
			"without that header.",
	},
	body_too_large: {
		status: 413,
		example: { limit: 25_165_824 },
		detail: ({ limit }) =>
			`The body is over ${limit} bytes. Send large images with a presigned upload.`,
	},
	invalid_request: {
		status: 400,
		example: {
			field: "max_tokens",
			detail: "`max_tokens`: Too big: expected number to be <=2048.",
		},
		detail: ({ detail }) => detail,
	},
	model_not_found: {
		status: 404,
		example: { model: "vicuna-7b", known: ["nano"] },
		detail: ({ model, known }) =>
			`There is no model "${model}". Choose one of: ${known.join(", ")}.`,
	},
	context_length_exceeded: {
		status: 400,
		example: { tokens: 2_311, context_length: 2_048 } as {
			field?: string;
			tokens: number;
			context_length: number;
		},
		detail: ({ tokens, context_length }) =>
			`The prompt needs at least ${tokens} tokens and the model reads ${context_length}, ` +
			"answer included. Shorten it or send fewer images.",
	},

	// The console.
	sign_in_off: {
		status: 404,
		detail:
			"This deployment has no sign-in. Ask its operator for an account and a key.",
	},
	sign_in_failed: {
		status: 400,
		detail:
			"The sign-in was not completed: it took too long, or began in another browser. Start again.",
	},
	sign_in_denied: {
		status: 400,
		detail: "The sign-in was canceled at the provider. Start again.",
	},
	sign_in_link_used: {
		status: 400,
		detail: "This link has been used, or its time is over. Ask for a new one.",
	},
	provider_unreachable: {
		status: 503,
		detail: "The sign-in provider does not answer. Try again in a minute.",
	},
	session_required: {
		status: 401,
		detail: "There is no session, or it is over. Sign in again.",
	},
	session_not_bound: {
		status: 403,
		detail: "This session belongs to another page or browser. Sign in here.",
	},

	// Jobs.
	id_conflict: {
		status: 409,
		detail: "This job id was used for another request. Choose a new id.",
	},
	idempotency_conflict: {
		status: 409,
		detail:
			"This Idempotency-Key was used for another request. Send that request again, or choose a " +
			"new key.",
	},
	job_not_finished: {
		status: 409,
		detail:
			"The job has not ended. Wait for its end, or cancel it: POST /v1/jobs/{id}/cancel.",
	},
	previous_job_unfinished: {
		status: 409,
		example: { field: "previous_job" },
		detail:
			"The previous job has not ended. Wait for its end: read its events, GET " +
			"/v1/jobs/{id}/events.",
	},
	previous_job_failed: {
		status: 409,
		example: { field: "previous_job" },
		detail:
			"The previous job has no answer: it failed, or expired before it ran. Ask it again, or " +
			"send the conversation as `messages`.",
	},
	image_gone: {
		status: 410,
		example: { field: "previous_job" },
		detail:
			"An image of the previous job was deleted. Send the conversation as `messages`, with the " +
			"image.",
	},
	job_gone: {
		status: 410,
		example: NO_FIELD,
		detail: ({ field }) =>
			field
				? "The previous job was deleted or expired. Send the conversation as `messages`, with " +
					"its images."
				: "This job was deleted or expired. Its id never runs again: choose a new one.",
	},
	job_canceled: {
		status: 409,
		detail:
			"The job was canceled before its answer was complete. GET /v1/jobs/{id} shows what it " +
			"wrote; the id is in X-Job-Id. To ask again, use a new Idempotency-Key.",
	},
	job_expired: {
		status: 503,
		retry: false,
		detail: "No worker was free in time. Nothing was charged; try again later.",
	},
	backend_failed: {
		status: 502,
		retry: false,
		detail:
			"The model could not finish this job after several attempts. Nothing was charged.",
	},
	too_many_readers: {
		status: 503,
		detail:
			"This stream has as many readers as it can serve. Try again, or GET the job or the list of " +
			"events instead.",
	},

	// Images and uploads.
	image_type_unsupported: {
		status: 422,
		example: { field: "images[0].url" },
		detail:
			"The bytes are not a JPEG, PNG, WebP or GIF image. Send the image in one of these formats.",
	},
	image_truncated: {
		status: 422,
		example: { field: "images[0].url" },
		detail: "The image ends too early. Send the whole file.",
	},
	image_dimensions: {
		status: 422,
		example: {
			field: "images[0].url",
			width: 1,
			height: 1,
			detail: "a side has 8 to 16384 pixels.",
		},
		detail: ({ width, height, detail }) =>
			`The image is ${width} x ${height}: ${detail}`,
	},
	image_too_large: {
		status: 413,
		example: { field: "images[0].url", limit: 4_194_304 },
		detail: ({ limit }) =>
			`The image is over ${limit} bytes. Scale it down; the model sees a few hundred pixels ` +
			"a side.",
	},
	image_undecodable: {
		status: 422,
		example: { field: "images[0].url" },
		detail:
			"The image has a valid header but cannot be decoded. Save it again and retry.",
	},
	image_in_use: {
		status: 409,
		example: { field: "images[0].upload" },
		detail:
			"The upload was deleted, and is kept only for jobs that still run. Upload the image again.",
	},
	upload_incomplete: {
		status: 409,
		example: { field: "id" } as { field?: string },
		detail:
			"Nothing was stored for this upload yet. PUT the bytes to its URL, then finalize.",
	},
	upload_not_finalized: {
		status: 409,
		example: { field: "images[0].upload" },
		detail:
			"The upload is not finalized. POST /v1/uploads/{id}/finalize first.",
	},
	upload_mismatch: {
		status: 409,
		example: {
			detail:
				"The stored object has another sha256 than was declared. Start a new upload.",
		},
		detail: ({ detail }) => detail,
	},
	url_refused: {
		status: 422,
		example: {
			field: "images[0].url",
			detail:
				"`images[0].url` does not use port 443. Send another URL, or upload the image.",
		},
		detail: ({ detail }) => detail,
	},
	url_unreachable: {
		status: 422,
		example: {
			field: "images[0].url",
			detail:
				"`images[0].url`: the server answered 404. Check the URL, or upload the image.",
		},
		detail: ({ detail }) => detail,
	},
	storage_unavailable: {
		status: 503,
		detail: "The object store does not answer. Nothing was charged; try again.",
	},

	// Webhooks and events.
	webhook_disabled: {
		status: 409,
		detail:
			'The webhook is disabled. Enable it first: PATCH it with {"status": "enabled"}.',
	},
	too_many_webhooks: {
		status: 409,
		example: { limit: 100 },
		detail: ({ limit }) =>
			`Your account has ${limit} webhooks and may have no more. Delete one, or have one ` +
			"receiver pass the events on.",
	},
	events_gone: {
		status: 410,
		/** `oldest`: sequence number of the oldest event that is kept. */
		example: { field: "after", oldest: 1_204 },
		detail: ({ oldest }) =>
			`Events are kept for 30 days, and the oldest is now ${oldest}. Continue after ` +
			`${oldest - 1}, and list the jobs to see what happened before.`,
	},

	internal_error: {
		status: 500,
		detail:
			"Something broke on our side. Nothing was charged; quote the request id.",
	},
});

export const FAILURES = {
	...KEY_FAILURES,
	...MONEY_FAILURES,
	...OTHER_FAILURES,
};
