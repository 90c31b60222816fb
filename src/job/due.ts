/** What time alone does to a job, and when its alarm must fire. Times are milliseconds since 1970. */

import type { JobSpec } from "../contract/job.ts";
import type { Disconnect } from "../stream/readers.ts";
import type { JobState } from "./state.ts";

/** What was asked for when the job was created. */
export type Deadlines = Pick<
	JobSpec,
	"startBy" | "endBy" | "cancelAt" | "onDisconnect"
>;

/** The alarm fires this often while a job runs: firing is what keeps the object in memory. */
export const HEARTBEAT_MS = 10_000;
/** A reader that was lost may come back within this time. */
export const ABANDONED_MS = 10_000;
/** Whoever hung up on a call has this time to repeat it, counted from when it may have left. */
export const HUNG_UP_MS = 2_000;
/** And, however late it was noticed, this much of it. */
const AT_LEAST_MS = 500;
/** A waiting job asks the pool again, in case the pool lost it; the longer it waits, the more rarely. */
const WAITING_MS = { first: 60_000, most: 600_000 };
/** The same with an account that did not acknowledge the settlement, or a pool that did not answer at all. */
const UNANSWERED_MS = { first: 5_000, most: 3_600_000 };

export type Due = "retry" | "expire" | "cancel";

/** What became due first, or null where nothing is due yet. */
export const due = (state: JobState, now: number): Due | null => {
	const first = next(state);
	return first && first.at <= now ? first.what : null;
};

/** When the object's alarm must fire next, or null when nothing is left to do. */
export function alarmAt(state: JobState, now: number): number | null {
	const first = next(state)?.at ?? Number.POSITIVE_INFINITY;
	switch (state.phase) {
		case "waiting":
			return Math.min(first, later(state.since, now, WAITING_MS));
		case "running":
			return Math.min(first, now + HEARTBEAT_MS);
		case "backoff":
			return first;
		case "settling":
			return unanswered(state, now);
		case "finished":
			return null;
	}
}

/** When to ask again what was not answered. */
export const unanswered = ({ since }: JobState, now: number): number =>
	later(since, now, UNANSWERED_MS);

/** When a job whose last reader went is abandoned; null where that reader had what it waited for. */
export function abandonedAt(leaving: Disconnect, now: number): number | null {
	switch (leaving.how) {
		case "content":
			return null;
		case "lost":
			return now + ABANDONED_MS;
		case "hungUp":
			return now + Math.max(AT_LEAST_MS, HUNG_UP_MS - leaving.ago);
	}
}

/** Where two things are due together, the one that costs the caller nothing comes first. */
function next(state: JobState): { what: Due; at: number } | null {
	const { phase, deadlines, startedAt, abandonedAt, retryAt } = state;
	if (phase === "settling" || phase === "finished") return null;
	const all: [Due, number | null][] = [
		["expire", startedAt === null ? deadlines.startBy : null],
		["expire", deadlines.endBy],
		["cancel", deadlines.cancelAt],
		["cancel", abandonedAt],
		["retry", retryAt],
	];
	let first: { what: Due; at: number } | null = null;
	for (const [what, at] of all)
		if (at !== null && at < (first?.at ?? Number.POSITIVE_INFINITY))
			first = { what, at };
	return first;
}

/** As long again as has passed since then: the waits double without anybody counting them. */
const later = (
	since: number,
	now: number,
	wait: { first: number; most: number },
): number => now + Math.min(wait.most, Math.max(wait.first, now - since));
