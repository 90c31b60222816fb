/**
 * A circuit breaker for one worker. Three jobs in a row that fail on the worker open it, however
 * ready the worker says it is. It stays open for 5 s, then lets one job try: a failure doubles the
 * time, up to a minute, a success closes the breaker. It counts jobs, not attempts, so that one job
 * that fails wherever it runs does not close a worker to the others.
 *
 * Runs in the Pool object, as all of pool/ does.
 */

const MAX_FAILED_JOBS = 3;
const FIRST_MS = 5_000;
const LONGEST_MS = 60_000;

export interface Breaker {
	/** Jobs that failed since the last success; at most three. */
	failed: readonly string[];
	/** No job may try before this time; null while the breaker is closed. */
	openUntil: number | null;
	/** For how long it was opened the last time. */
	openedFor: number;
	/** The one job that tries, after `openUntil`. */
	trying: string | null;
}

export const CLOSED: Breaker = {
	failed: [],
	openUntil: null,
	openedFor: 0,
	trying: null,
};

/** How many more jobs the breaker lets start on the worker. */
export function admissible(
	{ openUntil, trying }: Breaker,
	now: number,
): number {
	if (openUntil === null) return Number.POSITIVE_INFINITY;
	return now >= openUntil && trying === null ? 1 : 0;
}

export const afterStart = (breaker: Breaker, job: string): Breaker =>
	breaker.openUntil === null ? breaker : { ...breaker, trying: job };

export function afterEnd(
	breaker: Breaker,
	job: string,
	well: boolean,
	now: number,
): Breaker {
	const { openUntil, openedFor, trying } = breaker;
	if (openUntil !== null) {
		// The end of a job that started before the breaker opened says nothing new.
		if (job !== trying) return breaker;
		return well ? CLOSED : opened(breaker, 2 * openedFor, now);
	}
	if (well) return CLOSED;
	if (breaker.failed.includes(job)) return breaker;
	const failed = [...breaker.failed, job];
	const counted = { ...breaker, failed };
	return failed.length < MAX_FAILED_JOBS
		? counted
		: opened(counted, FIRST_MS, now);
}

/** The job that tried ended without an answer of the worker: another one may try. */
export const afterLoss = (breaker: Breaker, job: string): Breaker =>
	breaker.trying === job ? { ...breaker, trying: null } : breaker;

const opened = (breaker: Breaker, ms: number, now: number): Breaker => {
	const openedFor = Math.min(ms, LONGEST_MS);
	return { ...breaker, openUntil: now + openedFor, openedFor, trying: null };
};
