/**
 * How much of its limits an account has left. The rate is in memory: an account that slept starts
 * with its whole quota.
 */

import type { Limits } from "../contract/account.ts";
import {
	type Bucket,
	bucketLevel,
	consume,
	EMPTY,
	type Rate,
} from "../durable/rate-limit.ts";
import type { Config } from "../env.ts";
import { type Failure, failed, type Result } from "../errors.ts";
import { countOpenJobs } from "./jobs.ts";

type Quotas = Pick<
	Config,
	"LIMIT_REQUESTS_PER_MINUTE" | "LIMIT_CONCURRENT_JOBS"
>;

export class AccountLimits {
	readonly #sql: SqlStorage;
	#bucket: Bucket = EMPTY;

	constructor(sql: SqlStorage) {
		this.#sql = sql;
	}

	/** Counts a request, if the rate allows it. */
	countRequest(quotas: Quotas, now: number): Result<object> {
		const taken = consume(this.#bucket, rateOf(quotas), now);
		this.#bucket = taken.bucket;
		if (taken.admitted) return { ok: true };
		const failure: Failure = {
			code: "rate_limited",
			limit: quotas.LIMIT_REQUESTS_PER_MINUTE,
			retry_after: seconds(taken.waitMs),
		};
		return failed(failure);
	}

	/** The limits and what is left of each. */
	all(quotas: Quotas, now: number): Limits {
		const { remaining, waitMs, wholeMs } = bucketLevel(
			this.#bucket,
			rateOf(quotas),
			now,
		);
		return {
			requests: {
				quota: quotas.LIMIT_REQUESTS_PER_MINUTE,
				remaining,
				// Where none is left: until the next one. Else the caller may spread what is left over the
				// time until all are back.
				reset: seconds(remaining === 0 ? waitMs : wholeMs),
			},
			jobs: this.jobs(quotas),
		};
	}

	jobs({ LIMIT_CONCURRENT_JOBS: quota }: Quotas): Limits["jobs"] {
		const open = countOpenJobs(this.#sql, quota);
		return { quota, remaining: quota - open };
	}
}

const rateOf = ({ LIMIT_REQUESTS_PER_MINUTE: quota }: Quotas): Rate => ({
	quota,
	windowMs: 60_000,
});

const seconds = (ms: number): number => Math.ceil(ms / 1000);
