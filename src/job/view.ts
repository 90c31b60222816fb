/** A job as others see it: its public view, its outcome, and the data of its events. */

import type { Outcome } from "../contract/account.ts";
import type { JobView, RunFacts } from "../contract/job.ts";
import type { QueuePlace } from "../contract/pool.ts";
import { sha256 } from "../crypto.ts";
import { type Bill, FREE } from "../pricing/bill.ts";
import { settle } from "../pricing/settle.ts";
import type { JobRecord } from "./record.ts";

const utf8 = new TextEncoder();

/** Names no table: the prices of a job that was admitted before prices went by token. */
export const FIXED_PRICE = "";

/**
 * The job's public view.
 * @param queue the job's place in the queue, where it waits
 */
export async function viewOf(
	record: JobRecord,
	queue: QueuePlace | null,
): Promise<JobView> {
	const { spec, state, log } = record;
	// All of the view is read before the first await, so that its members agree.
	const view = {
		id: spec.id,
		status: state.status,
		model: spec.model,
		createdAt: spec.createdAt,
		startedAt: iso(state.startedAt),
		// A job ends only when it is settled.
		finishedAt: state.phase === "finished" ? iso(state.finishedAt) : null,
		description: spec.followUp === null ? null : log.description.text,
		text: log.answer.text,
		finishReason: state.phase === "finished" ? state.finishReason : null,
		images: spec.images.map((image) => image.upload),
		promptTokens: state.promptTokens,
		outputTokens: log.tokens,
		price: state.settlement?.price ?? null,
		priceParts: state.settlement && billFor(record).parts,
		priceVersion: spec.prices.version,
		error: state.phase === "finished" ? state.error : null,
		metadata: spec.metadata,
		queue: state.phase === "waiting" ? queue : null,
		lastSeq: log.lastSeq,
	};
	return { ...view, sha256: await sha256(view.text) };
}

/** What a receipt says beside the view. */
export const runFactsOf = ({ spec, state }: JobRecord): RunFacts => ({
	account: spec.account,
	request: {
		model: spec.model,
		messages: spec.messages,
		followUp: spec.followUp,
		images: spec.images.map((image) => image.sha256),
		sampling: spec.sampling,
	},
	digests: state.digests,
	attempts: state.attempts,
});

/** How the job ended, as the ledger needs it; null while the job is open. */
export const outcomeOf = (record: JobRecord): Outcome | null => {
	const { spec, state } = record;
	return (
		state.outcome && {
			jobId: spec.id,
			status: state.outcome,
			...billFor(record),
		}
	);
};

function billFor({ spec, state, log }: JobRecord): Bill {
	const { outcome, promptTokens } = state;
	if (outcome === null || spec.prices.version === FIXED_PRICE) return FREE;
	return settle(outcome, spec.prices.rates, {
		// A backend that never counted the prompt is paid for the rest.
		prompt_tokens: promptTokens ?? 0,
		output_tokens: log.tokens,
		images: spec.images.length,
	});
}

/** The data of a `job.<status>` event. */
export const stateData = (record: JobRecord) => {
	const { spec, state } = record;
	return {
		id: spec.id,
		status: state.status,
		...state.place,
		...(state.error && state.phase === "finished" && { error: state.error }),
		...(state.settlement && {
			price: state.settlement.price,
			price_parts: billFor(record).parts,
		}),
		...(state.settlement &&
			state.finishReason && { finish_reason: state.finishReason }),
	};
};

/** The data of the `usage` event. */
export const usageData = ({ spec, state, log }: JobRecord) => ({
	images: spec.images.length,
	prompt_tokens: state.promptTokens,
	output_tokens: log.tokens,
});

/**
 * The data of the `done` event.
 * @param distance from the last event in the log to this one
 */
export const doneData = (
	{ log }: JobRecord,
	distance: number,
	textSha256: string,
) => ({
	last_seq: log.lastSeq + distance,
	tokens: log.tokens,
	bytes: utf8.encode(log.answer.text).length,
	sha256: textSha256,
});

const iso = (ms: number | null): string | null =>
	ms === null ? null : new Date(ms).toISOString();
