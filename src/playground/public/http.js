// @ts-check
/** Calls the API, and turns every failure into a `Problem`. */

/**
 * @typedef {object} Details
 * @property {number} [status] of the response; 0 without one
 * @property {string} [code]
 * @property {string | undefined} [field]
 * @property {string | null | undefined} [requestId]
 */

/** Why a call failed, in words for the reader: the API's problem details, or a network error. */
export class Problem extends Error {
	/**
	 * @param {string} words for the reader
	 * @param {Details} [details]
	 */
	constructor(words, { status = 0, code = "network", field, requestId } = {}) {
		super(words);
		this.status = status;
		this.code = code;
		this.field = field;
		this.requestId = requestId ?? undefined;
	}
}

/**
 * The problem in a response, also if its body is not problem details.
 * @param {number} status @param {string} body @param {string | null} requestId
 */
export function problemIn(status, body, requestId) {
	try {
		const { detail, code, field, request_id } = JSON.parse(body);
		if (typeof detail === "string")
			return new Problem(field ? `${field}: ${detail}` : detail, {
				status,
				code,
				field,
				requestId: request_id ?? requestId,
			});
	} catch {}
	return new Problem(`The server answered ${status} without a reason.`, {
		status,
		code: `http_${status}`,
		requestId,
	});
}

const UNREACHABLE =
	"No answer came from the server. Check the connection, then try again.";

/**
 * @param {string} path
 * @param {string} key
 * @param {{ method?: string, headers?: Record<string, string>, body?: string, signal?: AbortSignal
 * }} [options]
 * @returns {Promise<Response>} a response with a 2xx status
 * @throws {Problem} on any other status and on network errors; on an abort, the signal's reason
 */
export async function call(path, key, { headers = {}, ...options } = {}) {
	/** @type {Response} */
	let response;
	try {
		response = await fetch(path, {
			...options,
			headers: { Authorization: `Bearer ${key}`, ...headers },
		});
	} catch {
		options.signal?.throwIfAborted();
		throw new Problem(UNREACHABLE);
	}
	if (response.ok) return response;
	throw problemIn(
		response.status,
		await response.text().catch(() => ""),
		response.headers.get("X-Request-Id"),
	);
}

/**
 * Sends a file and reports its progress, which `fetch` cannot.
 * @param {string} method
 * @param {string} url
 * @param {Record<string, string>} headers
 * @param {Blob} file
 * @param {{ signal: AbortSignal, onProgress: (share: number) => void }} options
 * @returns {Promise<string>} the body of a response with a 2xx status
 */
export const send = (method, url, headers, file, { signal, onProgress }) =>
	new Promise((resolve, reject) => {
		const request = new XMLHttpRequest();
		request.open(method, url);
		for (const [name, value] of Object.entries(headers))
			request.setRequestHeader(name, value);
		request.upload.onprogress = (event) =>
			onProgress(event.total ? event.loaded / event.total : 0);
		request.onload = () =>
			request.status >= 200 && request.status < 300
				? resolve(request.responseText)
				: reject(
						problemIn(
							request.status,
							request.responseText,
							// S3 has no such header, and the browser logs an error when a page asks for it.
							url.startsWith("/")
								? request.getResponseHeader("X-Request-Id")
								: null,
						),
					);
		request.onerror = () => reject(new Problem(UNREACHABLE));
		request.onabort = () => reject(signal.reason);
		signal.addEventListener("abort", () => request.abort(), { once: true });
		request.send(file);
	});

/** What was thrown, as a problem for the reader. @param {unknown} error @returns {Problem} */
export function problemOf(error) {
	if (error instanceof Problem) return error;
	console.error(error);
	return new Problem("This page made a mistake. Reload it and try again.", {
		code: "page_error",
	});
}
