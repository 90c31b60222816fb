/** A job as it is shown: the view, and the data of the events that close its log. */

import type { Outcome } from "../contract/account.ts";
import type { JobView } from "../contract/job.ts";
import type { QueuePlace } from "../contract/pool.ts";
import { sha256 } from "../crypto.ts";
import type { JobRecord } from "./record.ts";

const utf8 = new TextEncoder();

/**
 * The public state now.
 * @param queue where it stands, if it waits
 */
export async function viewOf(
	{ spec, state, log }: JobRecord,
	queue: QueuePlace | null,
): Promise<JobView> {
	// One synchronous reading; hashing may take a turn.
	const view = {
		id: spec.id,
		status: state.status,
		model: spec.model,
		createdAt: spec.createdAt,
		startedAt: iso(state.startedAt),
		// Until it is settled a job is not over.
		finishedAt: state.phase === "finished" ? iso(state.finishedAt) : null,
		text: log.text,
		finishReason: state.phase === "finished" ? state.finishReason : null,
		images: spec.images.map((image) => image.upload),
		promptTokens: state.promptTokens,
		outputTokens: log.tokens,
		price: state.settlement?.price ?? null,
		error: state.phase === "finished" ? state.error : null,
		metadata: spec.metadata,
		queue: state.phase === "waiting" ? queue : null,
		lastSeq: log.lastSeq,
	};
	return { ...view, sha256: await sha256(view.text) };
}

/** How the job ended, for the ledger; null before that is decided. */
export const outcomeOf = ({ spec, state, log }: JobRecord): Outcome | null =>
	state.outcome && {
		jobId: spec.id,
		status: state.outcome,
		outputTokens: log.tokens,
		maxTokens: spec.sampling.max_tokens,
	};

/** Data of a `job.<state>` event. */
export const stateData = ({ spec, state }: JobRecord) => ({
	id: spec.id,
	status: state.status,
	...state.place,
	...(state.error && state.phase === "finished" && { error: state.error }),
	...(state.settlement && { price: state.settlement.price }),
	...(state.settlement &&
		state.finishReason && { finish_reason: state.finishReason }),
});

/** Data of the `usage` event. */
export const usageData = ({ spec, state, log }: JobRecord) => ({
	images: spec.images.length,
	prompt_tokens: state.promptTokens,
	output_tokens: log.tokens,
});

/**
 * Data of the `done` event.
 * @param ahead how many events after the last one in the log it comes
 */
export const doneData = (
	{ log }: JobRecord,
	ahead: number,
	textSha256: string,
) => ({
	last_seq: log.lastSeq + ahead,
	tokens: log.tokens,
	bytes: utf8.encode(log.text).length,
	sha256: textSha256,
});

const iso = (ms: number | null): string | null =>
	ms === null ? null : new Date(ms).toISOString();
