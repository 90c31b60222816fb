/**
 * A rate limit as a pure decision: the generic cell rate algorithm, as a bucket that leaks evenly.
 * A burst may use the whole quota at once; after it, requests pass at the rate at which the bucket
 * leaks.
 */

/** `quota` requests in a window. */
export interface Rate {
	quota: number;
	windowMs: number;
}

/**
 * A request adds `windowMs`, a millisecond takes `quota` away, and full is quota x windowMs: whole
 * numbers, so that nothing drifts.
 */
export interface Bucket {
	/** When it held `fill`; milliseconds since 1970. */
	at: number;
	fill: number;
}

export const EMPTY: Bucket = { at: 0, fill: 0 };

export interface RateCheck {
	admitted: boolean;
	bucket: Bucket;
	/** How many requests would be admitted now. */
	remaining: number;
	/** Until one more request is admitted; 0 where one would be now. */
	waitMs: number;
	/** Until the whole quota is there again. */
	wholeMs: number;
}

/**
 * Admits a request, or refuses it, which changes nothing.
 * @param count how much of the quota it takes
 */
export function consume(
	bucket: Bucket,
	rate: Rate,
	now: number,
	count = 1,
): RateCheck {
	const fill = fillAt(bucket, rate, now) + count * rate.windowMs;
	const admitted = fill <= rate.quota * rate.windowMs;
	const after = admitted ? { at: Math.max(bucket.at, now), fill } : bucket;
	return { admitted, ...bucketLevel(after, rate, now) };
}

/** Gives back what a request took and did not use. */
export const giveBack = (
	bucket: Bucket,
	rate: Rate,
	now: number,
	count: number,
): Bucket => ({
	at: Math.max(bucket.at, now),
	fill: Math.max(0, fillAt(bucket, rate, now) - count * rate.windowMs),
});

export function bucketLevel(
	bucket: Bucket,
	rate: Rate,
	now: number,
): Omit<RateCheck, "admitted"> {
	const fill = fillAt(bucket, rate, now);
	const room = rate.quota * rate.windowMs - fill;
	return {
		bucket,
		remaining: Math.floor(room / rate.windowMs),
		waitMs: Math.ceil(Math.max(0, rate.windowMs - room) / rate.quota),
		wholeMs: Math.ceil(fill / rate.quota),
	};
}

/** A clock that was set back changes nothing. */
const fillAt = ({ at, fill }: Bucket, { quota }: Rate, now: number): number =>
	Math.max(0, fill - Math.max(0, now - at) * quota);
