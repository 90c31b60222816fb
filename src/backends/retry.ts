/** Retries requests with exponential backoff and jitter, and obeys `Retry-After`. */
import { sleep } from "../time.ts";

export interface RetryPolicy {
	/** The most requests, the first one included. */
	maxRequests: number;
	/** Rejects when the signal aborts. */
	sleep: (ms: number, signal: AbortSignal) => Promise<void>;
	/** A number in [0, 1), for jitter. */
	random: () => number;
	/** Milliseconds since 1970, for a `Retry-After` that is a date. */
	clock: () => number;
}

export const RETRY_POLICY: RetryPolicy = {
	maxRequests: 8,
	sleep,
	random: Math.random,
	clock: Date.now,
};

const FIRST_WAIT_MS = 500;
const MAX_WAIT_MS = 8_000;
/** A longer `Retry-After` ends the retries: the Job gives its slot back instead of holding it. */
const MAX_RETRY_AFTER_MS = 60_000;

/**
 * Makes a request until it succeeds, a retry cannot help, or the policy is used up.
 * @param shouldRetry called with the response, or with null if the request threw
 * @returns the last response, whatever its status
 * @throws what the last request threw, or the signal's reason
 */
export async function withRetries(
	request: () => Promise<Response>,
	shouldRetry: (response: Response | null) => boolean,
	signal: AbortSignal,
	{ maxRequests, sleep, random, clock }: RetryPolicy,
): Promise<Response> {
	for (let n = 1; ; n++) {
		let wait =
			Math.min(MAX_WAIT_MS, FIRST_WAIT_MS * 2 ** (n - 1)) *
			(0.5 + random() / 2);
		try {
			const response = await request();
			if (n >= maxRequests || !shouldRetry(response)) return response;
			wait = Math.max(wait, retryAfterMs(response, clock()) ?? 0);
			if (wait > MAX_RETRY_AFTER_MS) return response;
			await response.body?.cancel();
		} catch (error) {
			signal.throwIfAborted();
			if (n >= maxRequests || !shouldRetry(null)) throw error;
		}
		await sleep(wait, signal);
	}
}

/** `Retry-After`, in seconds or as a date, as milliseconds from now. */
function retryAfterMs(response: Response, now: number): number | null {
	const text = response.headers.get("Retry-After");
	if (text === null) return null;
	const at = /^\d+$/.test(text) ? now + Number(text) * 1000 : Date.parse(text);
	return Number.isNaN(at) ? null : Math.max(0, at - now);
}
