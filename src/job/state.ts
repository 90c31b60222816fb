/**
 * A job's state machine, without I/O: (state, change, now) -> the next state and its events. Times
 * are milliseconds since 1970.
 */
import type { Outcome, Settlement } from "../contract/account.ts";
import type { FinishReason, JobSpec, JobStatus } from "../contract/job.ts";
import type { Lease, QueuePlace, WaitingStatus } from "../contract/pool.ts";
import { wire } from "../errors.ts";
import type { Disconnect } from "../stream/readers.ts";
import { abandonedAt, type Deadlines, due, REPEAT_CALL_MS } from "./due.ts";

/** Failed attempts in a row without one new token, after which the job fails. */
export const MAX_FAILURES = 8;
/**
 * Interrupted attempts in a row without one new token, after which the job fails. No worker failed
 * these: a deploy or a crash ended the object, or the slot's lease was lost.
 */
export const MAX_INTERRUPTIONS = 32;
const BACKOFF_MS = { first: 500, most: 30_000 };

export interface JobError {
	code: string;
	message: string;
	field?: string;
}

export interface JobState {
	/**
	 * `waiting` for a slot, `running` an attempt, in `backoff` before the next attempt, `settling`
	 * with the Account, or `finished`.
	 */
	phase: "waiting" | "running" | "backoff" | "settling" | "finished";
	/** When this phase began. */
	since: number;
	/** The public status. It stays `running` while a later attempt waits for a slot. */
	status: JobStatus;
	deadlines: Deadlines;
	/** What the request set, see `JobSpec`. */
	onDisconnect: JobSpec["onDisconnect"];
	/** The place in the queue that the last `job.queued` or `job.provisioning` event has. */
	place: QueuePlace | null;
	/** Attempts begun, the one in progress included. */
	attempts: number;
	/** Failed attempts since the last new token. */
	failures: number;
	/** Interrupted attempts since the last new token. */
	interruptions: number;
	/** Tokens in the log when the last attempt ended. */
	tokensBefore: number;
	lease: Lease | null;
	/** Digests of the weights that attempts ran on, each once. */
	digests: string[];
	/** URL of the worker that failed last: the next attempt prefers another. */
	avoid: string | null;
	/** Whether the description is complete, in a job that has one: see `turnOf`. */
	isDescribed: boolean;
	/** The backend's id of a run that the next attempt may resume. */
	run: string | null;
	/** When the backoff ends. */
	retryAt: number | null;
	/**
	 * Whether a reader is connected or may come back. Kept up only for jobs that end when their
	 * readers leave.
	 */
	watched: boolean;
	/** When the job is canceled, unless a reader comes back before. */
	abandonedAt: number | null;
	startedAt: number | null;
	finishedAt: number | null;
	/** How the job ends: set when `settling` begins, and final. */
	outcome: Outcome["status"] | null;
	finishReason: FinishReason | null;
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
	deadlines: { startBy, endBy, cancelAt },
	onDisconnect,
	place: null,
	attempts: 0,
	failures: 0,
	interruptions: 0,
	tokensBefore: 0,
	lease: null,
	digests: [],
	avoid: null,
	isDescribed: false,
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
	/** The Pool has no free slot and queued the job. */
	| { type: "placed"; status: WaitingStatus; place: QueuePlace }
	/** The Pool gave the job a slot. */
	| { type: "granted"; lease: Lease }
	/**
	 * The attempt failed. Here and below, `tokens` counts the tokens in the log, and `random`, in
	 * [0, 1), spreads retries.
	 */
	| {
			type: "failed";
			error: JobError;
			retry: boolean;
			tokens: number;
			random: number;
	  }
	/** The attempt ended early: the object restarted, or the job lost its lease. */
	| { type: "interrupted"; tokens: number; random: number }
	/** The attempt reached its time limit: a planned seam. */
	| { type: "seam"; tokens: number; random: number }
	/** The description is complete. `tokens` counts those in the log. */
	| { type: "described"; tokens: number }
	/** The answer is complete. */
	| { type: "finished"; reason: FinishReason }
	/** The caller cancels the job. */
	| { type: "cancel" }
	/** A reader connected. */
	| { type: "reader_joined" }
	/** The last reader disconnected. */
	| ({ type: "readers_left" } & Disconnect)
	/** The client repeats the call that created the job, and its reader is about to connect. */
	| { type: "call_repeated" }
	/** Time passed: applies the first thing that is due. */
	| { type: "time" }
	/** The Account acknowledged the settlement. */
	| { type: "settled"; settlement: Settlement };

/** An event that a transition adds to the log. `JobRecord` adds the job's id and status. */
export type TransitionEvent =
	| { type: "state" }
	| { type: "retrying"; attempt: number; reason: string };

export interface Transition {
	state: JobState;
	events: TransitionEvent[];
}

/** Applies a change. Null where it comes too late or too early, and so changes nothing. */
export function transition(
	state: JobState,
	change: JobChange,
	now: number,
): Transition | null {
	switch (change.type) {
		case "placed":
			return placed(state, change.status, change.place);
		case "granted":
			return granted(state, change.lease, now);
		case "failed":
			if (state.phase !== "running") return null;
			if (!change.retry) return settling(state, "failed", change.error, now);
			return retryOrFail(state, change, now);
		case "interrupted":
			if (state.phase !== "running") return null;
			return retryOrFail(state, { ...change, error: null }, now);
		case "seam":
			return seam(state, change, now);
		case "described":
			return described(state, change.tokens, now);
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
		case "reader_joined":
			if (
				!endsWithoutReaders(state) ||
				(state.watched && state.abandonedAt === null)
			)
				return null;
			return withoutEvent({ ...state, watched: true, abandonedAt: null });
		case "readers_left":
			if (
				!endsWithoutReaders(state) ||
				!state.watched ||
				state.abandonedAt !== null
			)
				return null;
			return withoutEvent({
				...state,
				watched: change.how !== "satisfied",
				abandonedAt: abandonedAt(change, now),
			});
		case "call_repeated":
			if (!isOpen(state) || state.abandonedAt === null) return null;
			return withoutEvent({
				...state,
				abandonedAt: Math.max(state.abandonedAt, now + REPEAT_CALL_MS),
			});
		case "time":
			return applyDue(state, now);
		case "settled":
			if (state.phase !== "settling" || !state.outcome) return null;
			return withStateEvent({
				...state,
				phase: "finished",
				since: now,
				status: state.outcome,
				settlement: change.settlement,
			});
	}
}

/** Whether the job can still end in more than one way. */
export const isOpen = ({ phase }: JobState): boolean =>
	phase === "waiting" || phase === "running" || phase === "backoff";

const endsWithoutReaders = (state: JobState): boolean =>
	isOpen(state) && state.onDisconnect === "cancel";

const withoutEvent = (state: JobState): Transition => ({ state, events: [] });
const withStateEvent = (state: JobState): Transition => ({
	state,
	events: [{ type: "state" }],
});

/**
 * Writes an event only when the kind of waiting changes. A caller who wants to see the place move
 * up polls the job.
 */
function placed(state: JobState, status: WaitingStatus, place: QueuePlace) {
	if (state.phase !== "waiting" || state.status === "running") return null;
	if (state.status === status && state.place) return null;
	return withStateEvent({ ...state, status, place });
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
		digests: state.digests.includes(lease.digest)
			? state.digests
			: [...state.digests, lease.digest],
		startedAt: state.startedAt ?? now,
	};
	return state.status === "running"
		? withoutEvent(running)
		: withStateEvent(running);
}

function applyDue(state: JobState, now: number): Transition | null {
	switch (due(state, now)) {
		case "retry":
			return withoutEvent({
				...state,
				phase: "waiting",
				since: now,
				retryAt: null,
			});
		case "expire":
			return settling(state, "expired", null, now);
		case "cancel":
			return settling(state, "canceled", null, now);
		case null:
			return null;
	}
}

/**
 * The next attempt follows at once, on the same slot. An attempt without one new token counts as
 * failed.
 */
function seam(
	state: JobState,
	{ tokens, random }: { tokens: number; random: number },
	now: number,
): Transition | null {
	if (state.phase !== "running") return null;
	if (tokens <= state.tokensBefore)
		return retryOrFail(
			state,
			{ tokens, random, error: { code: "stalled" } },
			now,
		);
	return withoutEvent(nextAttempt(state, tokens, now));
}

/** The answer's attempt follows at once, on the same slot. */
function described(
	state: JobState,
	tokens: number,
	now: number,
): Transition | null {
	if (state.phase !== "running" || state.isDescribed) return null;
	const answering = nextAttempt(state, tokens, now);
	return withoutEvent({ ...answering, isDescribed: true, run: null });
}

const nextAttempt = (
	state: JobState,
	tokens: number,
	now: number,
): JobState => ({
	...state,
	since: now,
	attempts: state.attempts + 1,
	failures: 0,
	interruptions: 0,
	tokensBefore: tokens,
});

function settling(
	state: JobState,
	outcome: Outcome["status"],
	error: JobError | null,
	now: number,
): Transition {
	return withoutEvent({
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
 * Schedules another attempt, or fails the job after too many in a row without a new token. Without
 * `error` the worker was not at fault, and the first such attempt is repeated without delay.
 */
function retryOrFail(
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
		events: [
			{
				type: "retrying",
				attempt: state.attempts + 1,
				reason: error?.code ?? "restarted",
			},
		],
	};
}

/** Milliseconds before the next attempt, after so many in a row without a new token. */
function backoff(attempts: number, random: number): number {
	if (attempts === 0) return 0;
	const longest = Math.min(
		BACKOFF_MS.most,
		BACKOFF_MS.first * 2 ** (attempts - 1),
	);
	return Math.ceil(longest * (0.5 + random / 2));
}
