/**
 * Quotes that jobs presented. Each is a name for its job, beside the idempotency keys and kept as
 * long as they are, which is longer than any quote may be presented.
 */
import type { MadeBy, PresentedQuote } from "../contract/account.ts";
import { failed, type Result } from "../errors.ts";
import { isExpired } from "../pricing/quote.ts";
import { findNamedJobId, saveIdempotencyKey } from "./idempotency.ts";
import { findVisibleJob } from "./jobs.ts";

/** No key of a caller's is named so: those are hashes. */
const nameOf = ({ id }: PresentedQuote): string => `quote:${id}`;

/** One name in all of the account, whichever of its keys a job comes with. */
const OF_ACCOUNT: MadeBy = null;

/** Whether a new job may present the quote. */
export function checkQuote(
	sql: SqlStorage,
	onlyMadeBy: MadeBy,
	quote: PresentedQuote | null,
	now: number,
): Result<object> {
	if (!quote) return { ok: true };
	const job = findNamedJobId(sql, OF_ACCOUNT, nameOf(quote), now);
	if (job !== null)
		return failed({
			code: "quote_used",
			field: "quote",
			...(findVisibleJob(sql, onlyMadeBy, job) && { job }),
		});
	if (isExpired(quote, now))
		return failed({
			code: "quote_expired",
			field: "quote",
			expired_at: new Date(quote.expiresAt).toISOString(),
		});
	return { ok: true };
}

/** Binds the quote to a new job, in the transaction that admits the job. */
export function useQuote(
	sql: SqlStorage,
	onlyMadeBy: MadeBy,
	quote: PresentedQuote | null,
	jobId: string,
	now: number,
): Result<object> {
	const checked = checkQuote(sql, onlyMadeBy, quote, now);
	if (quote && checked.ok)
		saveIdempotencyKey(sql, OF_ACCOUNT, nameOf(quote), jobId, now);
	return checked;
}
