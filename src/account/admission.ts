/** Whether a job may run: a pure decision over what the account knows. */
import type { Failure } from "../errors.ts";
import type { Admission } from "./contract.ts";
import type { IndexedJob } from "./jobs.ts";
import { type Balances, decide, type Entry } from "./ledger.ts";

export type Verdict =
	| { answer: "new"; entries: Entry[] }
	| { answer: "same"; job: IndexedJob }
	| { answer: "refused"; failure: Failure };

/** A repeated admission is `same` for the body it was made with, a conflict for any other, and gone once it was voided. */
export function judge(
	known: { job: IndexedJob | null; balances: Balances },
	admission: Pick<Admission, "jobId" | "bodyHash" | "maxPrice">,
	now: number,
): Verdict {
	const { job, balances } = known;
	if (job) {
		if (job.bodyHash !== admission.bodyHash)
			return { answer: "refused", failure: { code: "id_conflict" } };
		if (job.void) return { answer: "refused", failure: { code: "job_gone" } };
		return { answer: "same", job };
	}
	const decision = decide(
		{ balances, credits: new Map(), holds: new Map() },
		{ kind: "hold", job: admission.jobId, amount: admission.maxPrice },
		now,
	);
	return decision.ok
		? { answer: "new", entries: decision.entries }
		: { answer: "refused", failure: decision.failure };
}
