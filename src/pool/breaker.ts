/**
 * A circuit breaker for one worker: three jobs in a row that fail on it open it, however ready the worker says it is. It stays
 * open for 5 s, then lets one job try; each failed try doubles the time, up to a minute, and one that ends well closes it. It counts
 * jobs, not attempts: one that fails wherever it runs closes no worker to the others.
 */

const FAILURES = 3;
const FIRST_MS = 5_000;
const LONGEST_MS = 60_000;

export interface Breaker {
	/** Jobs that failed since one last ended well; at most three. */
	failed: readonly string[];
	/** Until when no job may try; null while it is closed. */
	openUntil: number | null;
	/** How long it was opened last. */
	openedFor: number;
	/** The one job that tries. */
	trying: string | null;
}

export const closed: Breaker = {
	failed: [],
	openUntil: null,
	openedFor: 0,
	trying: null,
};

/** How many more jobs may start on the worker, as far as this goes. */
export function admits({ openUntil, trying }: Breaker, now: number): number {
	if (openUntil === null) return Number.POSITIVE_INFINITY;
	return now >= openUntil && trying === null ? 1 : 0;
}

export const started = (breaker: Breaker, job: string): Breaker =>
	breaker.openUntil === null ? breaker : { ...breaker, trying: job };

export function ended(
	breaker: Breaker,
	job: string,
	well: boolean,
	now: number,
): Breaker {
	const { openUntil, openedFor, trying } = breaker;
	if (openUntil !== null) {
		// What others began before it opened says nothing new.
		if (job !== trying) return breaker;
		return well ? closed : opened(breaker, 2 * openedFor, now);
	}
	if (well) return closed;
	if (breaker.failed.includes(job)) return breaker;
	const failed = [...breaker.failed, job];
	const counted = { ...breaker, failed };
	return failed.length < FAILURES ? counted : opened(counted, FIRST_MS, now);
}

/** The job that tried went away without a word of the worker: another one may try. */
export const abandoned = (breaker: Breaker, job: string): Breaker =>
	breaker.trying === job ? { ...breaker, trying: null } : breaker;

const opened = (breaker: Breaker, ms: number, now: number): Breaker => {
	const openedFor = Math.min(ms, LONGEST_MS);
	return { ...breaker, openUntil: now + openedFor, openedFor, trying: null };
};
