/** A job's life as pure decisions: (state, change, now) -> what to write. Times are milliseconds since 1970. */
import type { Outcome, Settlement } from "../contract/account.ts";
import type { JobSpec, JobStatus } from "../contract/job.ts";
import type { Lease, QueuePlace, WaitingStatus } from "../contract/pool.ts";
import { wire } from "../errors.ts";
import type { Disconnect } from "../stream/readers.ts";
import { abandonedAt, type Deadlines, due, HUNG_UP_MS } from "./due.ts";

/** Failed attempts in a row without one new token, after which the job fails. */
export const MAX_FAILURES = 8;
/** The same with attempts that no worker failed: the edge's process died under them, in a deploy for one, or their slot was lost. */
export const MAX_INTERRUPTIONS = 32;
const BACKOFF_MS = { first: 500, most: 30_000 };

export interface JobError {
	code: string;
	message: string;
	field?: string;
}

export interface JobState {
	/** `waiting` for a slot, `running` an attempt, `backoff` before the next, `settling` an outcome, `finished`. */
	phase: "waiting" | "running" | "backoff" | "settling" | "finished";
	/** When this phase began. */
	since: number;
	/** What readers see. It stays `running` while a later attempt waits for a slot. */
	status: JobStatus;
	deadlines: Deadlines;
	/** As the readers were told when they were last told what the job waits for. */
	place: QueuePlace | null;
	/** Attempts begun. */
	attempts: number;
	/** Failed attempts since the last new token. */
	failures: number;
	/** Interrupted attempts since the last new token. */
	interruptions: number;
	/** Tokens in the log when the last attempt ended. */
	tokensBefore: number;
	lease: Lease | null;
	/** URL of the worker that failed last. */
	avoid: string | null;
	/** What an attempt began on a backend and the next one may resume. */
	run: string | null;
	/** End of the backoff. */
	retryAt: number | null;
	/** Kept only where a lost reader means something: whether any is there or was lost, and when the job ends without one. */
	watched: boolean;
	abandonedAt: number | null;
	startedAt: number | null;
	finishedAt: number | null;
	/** Decided before `settling`; terminal. */
	outcome: Outcome["status"] | null;
	finishReason: "stop" | "length" | null;
	error: JobError | null;
	promptTokens: number | null;
	settlement: Settlement | null;
}

export const initialState = (
	{ startBy, endBy, cancelAt, onDisconnect }: JobSpec,
	now: number,
): JobState => ({
	phase: "waiting",
	since: now,
	status: "queued",
	deadlines: { startBy, endBy, cancelAt, onDisconnect },
	place: null,
	attempts: 0,
	failures: 0,
	interruptions: 0,
	tokensBefore: 0,
	lease: null,
	avoid: null,
	run: null,
	retryAt: null,
	watched: false,
	abandonedAt: null,
	startedAt: null,
	finishedAt: null,
	outcome: null,
	finishReason: null,
	error: null,
	promptTokens: null,
	settlement: null,
});

export type JobChange =
	/** The Pool's answer to a job that must wait. */
	| { type: "placed"; answer: WaitingStatus; place: QueuePlace }
	| { type: "granted"; lease: Lease }
	/** `tokens` are those in the log by now; `random` in [0, 1) spreads retries. */
	| {
			type: "failed";
			error: JobError;
			retry: boolean;
			tokens: number;
			random: number;
	  }
	/** An attempt was not ended by whoever began it: the instance before died, or the slot was lost. */
	| { type: "interrupted"; tokens: number; random: number }
	/** The attempt reached its longest time. */
	| { type: "seam"; tokens: number; random: number }
	| { type: "finished"; reason: "stop" | "length" }
	/** The caller's wish. */
	| { type: "cancel" }
	/** A reader is there. */
	| { type: "watched" }
	/** The last reader is gone. */
	| ({ type: "left" } & Disconnect)
	/** The call that made the job is repeated: its reader is on the way. */
	| { type: "repeated" }
	/** Time passed: does the first thing that is due. */
	| { type: "time" }
	| { type: "settled"; settlement: Settlement };

/** An event for the log; `id` and `status` are added where it is written. */
export type Logged =
	| { type: "state" }
	| { type: "retrying"; attempt: number; reason: string };

export interface Transition {
	state: JobState;
	log: Logged[];
}

/** What a change means for the job now, or null where it comes too late or too early and changes nothing. */
export function transition(
	state: JobState,
	change: JobChange,
	now: number,
): Transition | null {
	switch (change.type) {
		case "placed":
			return placed(state, change.answer, change.place);
		case "granted":
			return granted(state, change.lease, now);
		case "failed":
			if (state.phase !== "running") return null;
			if (!change.retry) return settling(state, "failed", change.error, now);
			return again(state, change, now);
		case "interrupted":
			if (state.phase !== "running") return null;
			return again(state, { ...change, error: null }, now);
		case "seam":
			return seam(state, change, now);
		case "finished":
			if (state.phase !== "running") return null;
			return settling(
				{ ...state, finishReason: change.reason },
				"succeeded",
				null,
				now,
			);
		case "cancel":
			return isOpen(state) ? settling(state, "canceled", null, now) : null;
		case "watched":
			if (!mindsReaders(state) || (state.watched && state.abandonedAt === null))
				return null;
			return silent({ ...state, watched: true, abandonedAt: null });
		case "left":
			if (!mindsReaders(state) || !state.watched || state.abandonedAt !== null)
				return null;
			return silent({
				...state,
				watched: change.how !== "content",
				abandonedAt: abandonedAt(change, now),
			});
		case "repeated":
			if (!isOpen(state) || state.abandonedAt === null) return null;
			return silent({
				...state,
				abandonedAt: Math.max(state.abandonedAt, now + HUNG_UP_MS),
			});
		case "time":
			return passed(state, now);
		case "settled":
			if (state.phase !== "settling" || !state.outcome) return null;
			return told({
				...state,
				phase: "finished",
				since: now,
				status: state.outcome,
				settlement: change.settlement,
			});
	}
}

/** Whether how it ends is still open. */
export const isOpen = ({ phase }: JobState): boolean =>
	phase === "waiting" || phase === "running" || phase === "backoff";

const mindsReaders = (state: JobState): boolean =>
	isOpen(state) && state.deadlines.onDisconnect === "cancel";

const silent = (state: JobState): Transition => ({ state, log: [] });
const told = (state: JobState): Transition => ({
	state,
	log: [{ type: "state" }],
});

/** Told once per kind of waiting: a place that moves up is for those who ask. */
function placed(state: JobState, answer: WaitingStatus, place: QueuePlace) {
	if (state.phase !== "waiting" || state.status === "running") return null;
	if (state.status === answer && state.place) return null;
	return told({ ...state, status: answer, place });
}

function granted(
	state: JobState,
	lease: Lease,
	now: number,
): Transition | null {
	if (state.phase !== "waiting" || due(state, now)) return null;
	const running: JobState = {
		...state,
		phase: "running",
		since: now,
		status: "running",
		place: null,
		attempts: state.attempts + 1,
		lease,
		startedAt: state.startedAt ?? now,
	};
	return state.status === "running" ? silent(running) : told(running);
}

function passed(state: JobState, now: number): Transition | null {
	switch (due(state, now)) {
		case "retry":
			return silent({ ...state, phase: "waiting", since: now, retryAt: null });
		case "expire":
			return settling(state, "expired", null, now);
		case "cancel":
			return settling(state, "canceled", null, now);
		case null:
			return null;
	}
}

/** The next attempt follows at once, on the same slot; one that brought nothing has failed. */
function seam(
	state: JobState,
	{ tokens, random }: { tokens: number; random: number },
	now: number,
): Transition | null {
	if (state.phase !== "running") return null;
	if (tokens <= state.tokensBefore)
		return again(state, { tokens, random, error: { code: "stalled" } }, now);
	return silent({
		...state,
		since: now,
		attempts: state.attempts + 1,
		failures: 0,
		interruptions: 0,
		tokensBefore: tokens,
	});
}

function settling(
	state: JobState,
	outcome: Outcome["status"],
	error: JobError | null,
	now: number,
): Transition {
	return silent({
		...state,
		phase: "settling",
		since: now,
		place: null,
		outcome,
		error,
		finishedAt: now,
		lease: null,
		retryAt: null,
		abandonedAt: null,
	});
}

/**
 * Another attempt, later; or the end, when too many in a row brought nothing. Without `error` the worker was not at fault, and
 * the first time there is no delay.
 */
function again(
	state: JobState,
	{
		tokens,
		random,
		error,
	}: {
		tokens: number;
		random: number;
		error: { code: string } | null;
	},
	now: number,
): Transition {
	const { failures, interruptions } =
		tokens > state.tokensBefore ? { failures: 0, interruptions: 0 } : state;
	const ended: JobState = {
		...state,
		failures: error ? failures + 1 : failures,
		interruptions: error ? interruptions : interruptions + 1,
		tokensBefore: tokens,
	};
	if (
		ended.failures >= MAX_FAILURES ||
		ended.interruptions >= MAX_INTERRUPTIONS
	)
		return settling(
			ended,
			"failed",
			{
				code: "backend_failed",
				message: wire({ code: "backend_failed" }).detail,
			},
			now,
		);
	return {
		state: {
			...ended,
			phase: "backoff",
			since: now,
			lease: null,
			avoid: (error && state.lease?.url) ?? state.avoid,
			run: error ? null : state.run,
			retryAt:
				now + backoff(error ? ended.failures : ended.interruptions - 1, random),
		},
		log: [
			{
				type: "retrying",
				attempt: state.attempts + 1,
				reason: error?.code ?? "restarted",
			},
		],
	};
}

/** Milliseconds before the next attempt, after so many that brought nothing. */
function backoff(attempts: number, random: number): number {
	if (attempts === 0) return 0;
	const longest = Math.min(
		BACKOFF_MS.most,
		BACKOFF_MS.first * 2 ** (attempts - 1),
	);
	return Math.ceil(longest * (0.5 + random / 2));
}
