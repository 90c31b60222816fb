/**
 * How much of its limits an account has left. Rates are in memory: an account that slept starts
 * with its whole quotas.
 */

import type { Limits } from "../contract/account.ts";
import {
	type Bucket,
	bucketLevel,
	consume,
	EMPTY,
	giveBack,
	type Rate,
} from "../durable/rate-limit.ts";
import type { Config } from "../env.ts";
import { type Failure, failed, type Result } from "../errors.ts";
import { countOpenJobs } from "./jobs.ts";

type Quotas = Pick<
	Config,
	| "LIMIT_REQUESTS_PER_MINUTE"
	| "LIMIT_TOKENS_PER_MINUTE"
	| "LIMIT_CONCURRENT_JOBS"
>;

const WINDOW_MS = 60_000;

export class AccountLimits {
	readonly #sql: SqlStorage;
	#requests: Bucket = EMPTY;
	#tokens: Bucket = EMPTY;
	/** The tokens that jobs took in the last minute, by their ids, oldest first. */
	readonly #taken = new Map<string, { tokens: number; at: number }>();

	constructor(sql: SqlStorage) {
		this.#sql = sql;
	}

	/** Counts a request, if the rate allows it. */
	countRequest(quotas: Quotas, now: number): Result<object> {
		const quota = quotas.LIMIT_REQUESTS_PER_MINUTE;
		const taken = consume(this.#requests, rateOf(quota), now);
		this.#requests = taken.bucket;
		if (taken.admitted) return { ok: true };
		const failure: Failure = {
			code: "rate_limited",
			limit: quota,
			retry_after: seconds(taken.waitMs),
		};
		return failed(failure);
	}

	/**
	 * Takes the most tokens that a job can use. One that can use more than the quota takes all of it.
	 */
	takeTokens(quotas: Quotas, job: string, most: number, now: number): void {
		for (const [id, { at }] of this.#taken) {
			if (now - at < WINDOW_MS) break;
			this.#taken.delete(id);
		}
		const quota = quotas.LIMIT_TOKENS_PER_MINUTE;
		const tokens = Math.min(most, quota);
		this.#tokens = consume(this.#tokens, rateOf(quota), now, tokens).bucket;
		this.#taken.set(job, { tokens, at: now });
	}

	/** Gives back what a job took and did not use. What it took a minute ago is back by itself. */
	returnTokens(quotas: Quotas, job: string, used: number, now: number): void {
		const taken = this.#taken.get(job);
		if (!taken) return;
		this.#taken.delete(job);
		const rest = Math.max(0, taken.tokens - used);
		const rate = rateOf(quotas.LIMIT_TOKENS_PER_MINUTE);
		if (now - taken.at < WINDOW_MS)
			this.#tokens = giveBack(this.#tokens, rate, now, rest);
	}

	/** The limits and what is left of each. */
	all(quotas: Quotas, now: number): Limits {
		return {
			requests: left(this.#requests, quotas.LIMIT_REQUESTS_PER_MINUTE, now),
			tokens: this.tokens(quotas, now),
			jobs: this.jobs(quotas),
		};
	}

	tokens(quotas: Quotas, now: number): Limits["tokens"] {
		return left(this.#tokens, quotas.LIMIT_TOKENS_PER_MINUTE, now);
	}

	jobs({ LIMIT_CONCURRENT_JOBS: quota }: Quotas): Limits["jobs"] {
		const open = countOpenJobs(this.#sql, quota);
		return { quota, remaining: quota - open };
	}
}

/** What is left of a quota. */
function left(bucket: Bucket, quota: number, now: number): Limits["requests"] {
	const { remaining, waitMs, wholeMs } = bucketLevel(
		bucket,
		rateOf(quota),
		now,
	);
	// Where none is left: until the next one. Else the caller may spread what is left over the time
	// until all are back.
	return {
		quota,
		remaining,
		reset: seconds(remaining === 0 ? waitMs : wholeMs),
	};
}

const rateOf = (quota: number): Rate => ({ quota, windowMs: WINDOW_MS });

const seconds = (ms: number): number => Math.ceil(ms / 1000);
