/** A job's life as pure decisions: (state, event, now) -> what to write. Times are milliseconds since 1970. */
import type { Outcome, Settlement } from "../account/contract.ts";
import { wire } from "../errors.ts";
import type { Lease } from "../pool/contract.ts";
import type { JobStatus } from "./contract.ts";

/** Attempts in a row without one new token, after which the job fails. */
export const MAX_FAILURES = 8;
/** The alarm fires this often while a job runs: firing is what keeps the object in memory. */
export const HEARTBEAT_MS = 10_000;
/** A waiting job asks the pool again this often, in case the pool lost it. */
const WAITING_MS = 60_000;
const SETTLE_AGAIN_MS = 5_000;
const BACKOFF_MS = { first: 500, most: 30_000 };

export interface JobError {
	code: string;
	message: string;
	field?: string;
}

export interface JobState {
	/** `waiting` for a slot, `running` an attempt, `backoff` before the next, `settling` an outcome, `finished`; `void` was never started. */
	phase: "waiting" | "running" | "backoff" | "settling" | "finished" | "void";
	/** What readers see. It stays `running` while a later attempt waits for a slot. */
	status: JobStatus;
	/** Attempts begun. */
	attempts: number;
	/** Failed attempts in a row without a new token. */
	failures: number;
	/** Tokens in the log at the last failure. */
	tokensBefore: number;
	lease: Lease | null;
	/** End of the backoff. */
	retryAt: number | null;
	startedAt: number | null;
	finishedAt: number | null;
	/** Decided before `settling`; terminal. */
	outcome: Outcome["status"] | null;
	finishReason: "stop" | "length" | null;
	error: JobError | null;
	promptTokens: number | null;
	settlement: Settlement | null;
}

export const claimed: JobState = {
	phase: "waiting",
	status: "queued",
	attempts: 0,
	failures: 0,
	tokensBefore: 0,
	lease: null,
	retryAt: null,
	startedAt: null,
	finishedAt: null,
	outcome: null,
	finishReason: null,
	error: null,
	promptTokens: null,
	settlement: null,
};

export type JobChange =
	| { type: "provisioning" }
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
	| { type: "interrupted"; tokens: number }
	/** The attempt reached its longest time. */
	| { type: "seam"; tokens: number; random: number }
	| { type: "retry" }
	| { type: "finished"; reason: "stop" | "length" }
	| { type: "settled"; settlement: Settlement };

/** An event for the log; `id` and `status` are added where it is written. */
export type Logged =
	| { type: "state" }
	| { type: "retrying"; attempt: number; reason: string };

export interface Decision {
	state: JobState;
	log: Logged[];
}

/** What a change means for the job now, or null where it comes too late or too early and changes nothing. */
export function decide(
	state: JobState,
	change: JobChange,
	now: number,
): Decision | null {
	const { phase } = state;
	switch (change.type) {
		case "provisioning":
			if (phase !== "waiting" || state.status === "provisioning") return null;
			return {
				state: { ...state, status: "provisioning" },
				log: [{ type: "state" }],
			};
		case "granted":
			if (phase !== "waiting") return null;
			return {
				state: {
					...state,
					phase: "running",
					status: "running",
					attempts: state.attempts + 1,
					lease: change.lease,
					startedAt: state.startedAt ?? now,
				},
				log: state.status === "running" ? [] : [{ type: "state" }],
			};
		case "failed":
			if (phase !== "running") return null;
			if (!change.retry) return settling(state, "failed", change.error, now);
			return again(state, change.error.code, change.tokens, change.random, now);
		case "interrupted":
			if (phase !== "running") return null;
			return again(state, "restarted", change.tokens, null, now);
		case "seam":
			if (phase !== "running") return null;
			if (change.tokens <= state.tokensBefore)
				return again(state, "stalled", change.tokens, change.random, now);
			return {
				state: {
					...state,
					attempts: state.attempts + 1,
					failures: 0,
					tokensBefore: change.tokens,
				},
				log: [],
			};
		case "retry":
			if (phase !== "backoff" || now < (state.retryAt ?? 0)) return null;
			return { state: { ...state, phase: "waiting", retryAt: null }, log: [] };
		case "finished":
			if (phase !== "running") return null;
			return settling(
				{ ...state, finishReason: change.reason },
				"succeeded",
				null,
				now,
			);
		case "settled":
			if (phase !== "settling" || !state.outcome) return null;
			return {
				state: {
					...state,
					phase: "finished",
					status: state.outcome,
					settlement: change.settlement,
				},
				log: [{ type: "state" }],
			};
	}
}

/** When the object's alarm must fire next, or null when nothing is left to do. */
export function alarmAt(state: JobState, now: number): number | null {
	switch (state.phase) {
		case "waiting":
			return now + WAITING_MS;
		case "running":
			return now + HEARTBEAT_MS;
		case "backoff":
			return state.retryAt ?? now;
		case "settling":
			return now + SETTLE_AGAIN_MS;
		default:
			return null;
	}
}

function settling(
	state: JobState,
	outcome: Outcome["status"],
	error: JobError | null,
	now: number,
): Decision {
	return {
		state: {
			...state,
			phase: "settling",
			outcome,
			error,
			finishedAt: now,
			lease: null,
			retryAt: null,
		},
		log: [],
	};
}

/** Another attempt, later; or the end, when too many in a row brought nothing. `random` null asks for no delay. */
function again(
	state: JobState,
	reason: string,
	tokens: number,
	random: number | null,
	now: number,
): Decision {
	const failures = tokens > state.tokensBefore ? 1 : state.failures + 1;
	if (failures >= MAX_FAILURES)
		return settling(
			{ ...state, failures },
			"failed",
			{
				code: "backend_failed",
				message: wire({ code: "backend_failed" }).detail,
			},
			now,
		);
	const longest = Math.min(
		BACKOFF_MS.most,
		BACKOFF_MS.first * 2 ** (failures - 1),
	);
	const wait = random === null ? 0 : longest * (0.5 + random / 2);
	return {
		state: {
			...state,
			phase: "backoff",
			failures,
			tokensBefore: tokens,
			lease: null,
			retryAt: now + wait,
		},
		log: [{ type: "retrying", attempt: state.attempts + 1, reason }],
	};
}
