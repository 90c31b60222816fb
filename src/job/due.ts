/**
 * What becomes due in a job as time passes, and when its alarm must fire. Times are milliseconds
 * since 1970.
 */

import type { JobSpec } from "../contract/job.ts";
import type { Disconnect } from "../stream/readers.ts";
import type { JobState } from "./state.ts";

/** The time limits that the request set. */
export type Deadlines = Pick<JobSpec, "startBy" | "endBy" | "cancelAt">;

/** While a job runs, its alarm fires this often: an alarm keeps the object in memory. */
export const HEARTBEAT_MS = 10_000;
/** A reader whose connection broke has this time to reconnect. */
export const RECONNECT_MS = 10_000;
/** A client that hung up on a call has this time to repeat it, from when it may have left. */
export const REPEAT_CALL_MS = 2_000;
/** The least of that time that remains once the edge notices that the client has left. */
const SHORTEST_REPEAT_CALL_MS = 500;
/** A waiting job asks the Pool again, in case the Pool lost it; less often the longer it waits. */
const QUEUE_CHECK_MS = { first: 60_000, most: 600_000 };
/** A job repeats its settlement, or its request for a slot, while the other object fails. */
const RPC_RETRY_MS = { first: 5_000, most: 3_600_000 };

export type DueChange = "retry" | "expire" | "cancel";

/** What became due first, or null where nothing is due yet. */
export const due = (state: JobState, now: number): DueChange | null => {
	const first = firstDue(state);
	return first && first.at <= now ? first.what : null;
};

/** When the object's alarm must fire next, or null when nothing is left to do. */
export function alarmAt(state: JobState, now: number): number | null {
	const first = firstDue(state)?.at ?? Number.POSITIVE_INFINITY;
	switch (state.phase) {
		case "waiting":
			return Math.min(
				first,
				afterDoublingWait(state.since, now, QUEUE_CHECK_MS),
			);
		case "running":
			return Math.min(first, now + HEARTBEAT_MS);
		case "backoff":
			return first;
		case "settling":
			return rpcRetryAt(state, now);
		case "finished":
			return null;
	}
}

/** When to repeat a call that the Account or the Pool did not answer. */
export const rpcRetryAt = ({ since }: JobState, now: number): number =>
	afterDoublingWait(since, now, RPC_RETRY_MS);

/** When to cancel a job that its last reader left; null where that reader needed no more. */
export function abandonedAt(
	disconnect: Disconnect,
	now: number,
): number | null {
	switch (disconnect.how) {
		case "satisfied":
			return null;
		case "lost":
			return now + RECONNECT_MS;
		case "hungUp":
			return (
				now +
				Math.max(SHORTEST_REPEAT_CALL_MS, REPEAT_CALL_MS - disconnect.agoMs)
			);
	}
}

/** Where two are due at the same time, the one that is free for the caller comes first. */
function firstDue(state: JobState): { what: DueChange; at: number } | null {
	const { phase, deadlines, startedAt, abandonedAt, retryAt } = state;
	if (phase === "settling" || phase === "finished") return null;
	const all: [DueChange, number | null][] = [
		["expire", startedAt === null ? deadlines.startBy : null],
		["expire", deadlines.endBy],
		["cancel", deadlines.cancelAt],
		["cancel", abandonedAt],
		["retry", retryAt],
	];
	let first: { what: DueChange; at: number } | null = null;
	for (const [what, at] of all)
		if (at !== null && at < (first?.at ?? Number.POSITIVE_INFINITY))
			first = { what, at };
	return first;
}

/** Waits as long as has passed since `since`: each wait doubles without a counter. */
const afterDoublingWait = (
	since: number,
	now: number,
	wait: { first: number; most: number },
): number => now + Math.min(wait.most, Math.max(wait.first, now - since));
