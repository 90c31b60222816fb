/** Whether a job may run: pure decisions over what the account knows. */

import type { Admission, Limits } from "../contract/account.ts";
import { type Failure, failed, type Result } from "../errors.ts";
import type { IndexedJob } from "./jobs.ts";
import { type Balances, decide, type Entry } from "./ledger.ts";

/** What the account has for one more job. */
export interface Remaining {
	balances: Balances;
	jobs: Limits["jobs"];
}

export type AdmissionCheck =
	| { answer: "new"; entries: Entry[] }
	| { answer: "same"; job: IndexedJob }
	| { answer: "refused"; failure: Failure };

/** The first admission of a name is for one body; a repeat of it is `same`, another body a conflict, and what is gone stays gone. */
export function checkAdmission(
	job: IndexedJob | null,
	admission: Pick<Admission, "jobId" | "idempotencyKey" | "maxPrice"> & {
		bodyHash: string;
	},
	room: Remaining,
	now: number,
): AdmissionCheck {
	if (!job) {
		const hold = checkHold(admission.jobId, admission.maxPrice, room, now);
		return hold.ok
			? { answer: "new", entries: hold.entries }
			: { answer: "refused", failure: hold.failure };
	}
	if (job.gone) return { answer: "refused", failure: { code: "job_gone" } };
	if (job.bodyHash === admission.bodyHash) return { answer: "same", job };
	const code =
		admission.idempotencyKey === null ? "id_conflict" : "idempotency_conflict";
	return { answer: "refused", failure: { code } };
}

/** The hold of a new job, if there is money and room for it. */
export function checkHold(
	jobId: string,
	price: number,
	{ balances, jobs }: Remaining,
	now: number,
): Result<{ entries: Entry[] }> {
	const hold = decide(
		{ balances, credits: new Map(), holds: new Map() },
		{ kind: "hold", job: jobId, amount: price },
		now,
	);
	if (hold.ok && jobs.remaining <= 0)
		return failed({
			code: "too_many_jobs",
			limit: jobs.quota,
			retry_after: TRY_AGAIN_S,
		});
	return hold;
}

/** Nobody knows when a job ends; this is when it is worth a look. */
const TRY_AGAIN_S = 5;
