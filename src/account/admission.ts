/** Whether a job may be admitted: pure decisions. */

import type { Admission, Limits, PriceRange } from "../contract/account.ts";
import { type Failure, failed, type Result } from "../errors.ts";
import type { IndexedJob } from "./jobs.ts";
import { type Balances, decide, type Entry } from "./ledger.ts";
import { checkSpend, type Spend } from "./spend.ts";

/** What the account has left for one more job. */
export interface Remaining {
	balances: Balances;
	jobs: Limits["jobs"];
	tokens: Limits["tokens"];
	/** An audit found the ledger wrong: nothing more may be spent. */
	isFrozen: boolean;
	/** Micro-USD of payments that were taken back and are spent: nothing more may be spent. */
	owed: number;
	/** What counts against the limits of the caller's key; null where it has none. */
	spend: Spend | null;
}

/** The same without what the ledger has, and whose it is. */
export interface Room extends Omit<Remaining, "balances"> {
	/** The caller's. */
	key: string;
}

export type AdmissionCheck =
	| { result: "new"; entries: Entry[] }
	| { result: "same"; job: IndexedJob }
	| { result: "refused"; failure: Failure };

/**
 * A name stands for one body: its repeat is the `same` job, another body is a conflict, and a job
 * that is gone stays gone.
 */
export function checkAdmission(
	job: IndexedJob | null,
	admission: Pick<Admission, "jobId" | "idempotencyKey"> &
		PriceRange & { bodyHash: string },
	remaining: Remaining,
	now: number,
): AdmissionCheck {
	if (!job) {
		const hold = checkHold(admission.jobId, admission, remaining, now);
		return hold.ok
			? { result: "new", entries: hold.entries }
			: { result: "refused", failure: hold.failure };
	}
	if (job.gone) return { result: "refused", failure: { code: "job_gone" } };
	if (job.bodyHash === admission.bodyHash) return { result: "same", job };
	const code =
		admission.idempotencyKey === null ? "id_conflict" : "idempotency_conflict";
	return { result: "refused", failure: { code } };
}

/** The hold of a new job, if the account can pay and has room for it. */
export function checkHold(
	jobId: string,
	{ maxPrice, leastPrice, mostTokens }: PriceRange,
	{ balances, jobs, tokens, isFrozen, owed, spend }: Remaining,
	now: number,
): Result<{ entries: Entry[] }> {
	if (isFrozen) return failed({ code: "account_frozen" });
	if (owed > 0) return failed({ code: "payment_owed", owed });
	if (maxPrice < leastPrice)
		return failed({
			code: "max_price_too_low",
			field: "max_price",
			max_price: maxPrice,
			least: leastPrice,
		});
	const hold = decide(
		{ balances, credits: new Map(), holds: new Map() },
		{ kind: "hold", job: jobId, amount: maxPrice },
		now,
	);
	if (!hold.ok) return hold;
	const spending = checkSpend(spend, maxPrice, now);
	if (!spending.ok) return spending;
	if (jobs.remaining <= 0)
		return failed({
			code: "too_many_jobs",
			limit: jobs.quota,
			retry_after: TRY_AGAIN_S,
		});
	const missing = Math.min(mostTokens, tokens.quota) - tokens.remaining;
	if (missing > 0)
		return failed({
			code: "too_many_tokens",
			limit: tokens.quota,
			retry_after: Math.ceil((missing * 60) / tokens.quota),
		});
	return hold;
}

/** Nobody knows when a job ends; a caller may try again after this. */
const TRY_AGAIN_S = 5;
