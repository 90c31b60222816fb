/** Requests that are made again when that may help, and that really wait in between. */

export interface RetryPolicy {
	/** Requests at most. */
	tries: number;
	/** Rejects when the signal aborts. */
	sleep: (ms: number, signal: AbortSignal) => Promise<void>;
	/** In [0, 1); spreads the waits. */
	random: () => number;
	/** Milliseconds since 1970, for a `Retry-After` that names a time. */
	clock: () => number;
}

export const RETRY_POLICY: RetryPolicy = {
	tries: 8,
	sleep,
	random: Math.random,
	clock: Date.now,
};

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 8_000;
/** Who is told to come back later than this does something else meanwhile. */
const LONGEST_ASKED_MS = 60_000;

/**
 * The last answer, good or not.
 * @param helps whether another request may; null where none was answered
 * @throws what the last request threw, or the signal's reason
 */
export async function withRetries(
	request: () => Promise<Response>,
	helps: (response: Response | null) => boolean,
	signal: AbortSignal,
	{ tries, sleep, random, clock }: RetryPolicy,
): Promise<Response> {
	for (let n = 1; ; n++) {
		let wait =
			Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (n - 1)) *
			(0.5 + random() / 2);
		try {
			const response = await request();
			if (n >= tries || !helps(response)) return response;
			wait = Math.max(wait, askedFor(response, clock()) ?? 0);
			if (wait > LONGEST_ASKED_MS) return response;
			await response.body?.cancel();
		} catch (error) {
			signal.throwIfAborted();
			if (n >= tries || !helps(null)) throw error;
		}
		await sleep(wait, signal);
	}
}

/** Milliseconds that `Retry-After` asks for, in seconds or as a date. */
function askedFor(response: Response, now: number): number | null {
	const text = response.headers.get("Retry-After");
	if (text === null) return null;
	const at = /^\d+$/.test(text) ? now + Number(text) * 1000 : Date.parse(text);
	return Number.isNaN(at) ? null : Math.max(0, at - now);
}

/** Leaves no timer behind: one that is pending keeps an object in memory. */
export function sleep(ms: number, signal: AbortSignal): Promise<void> {
	return new Promise((resolve, reject) => {
		if (signal.aborted) return reject(signal.reason);
		const aborted = () => {
			clearTimeout(timer);
			reject(signal.reason);
		};
		const timer = setTimeout(() => {
			signal.removeEventListener("abort", aborted);
			resolve();
		}, ms);
		signal.addEventListener("abort", aborted, { once: true });
	});
}
