/**
 * What a Pool receives and returns over RPC. Jobs are named `<account>/<job id>`; durations are
 * milliseconds.
 */
import { z } from "@hono/zod-openapi";

/** A job's request for a slot. */
export interface SlotRequest {
	model: string;
	job: string;
	account: string;
	/** The job has shown tokens already: it goes ahead of all jobs that have shown none. */
	resumed: boolean;
	/** The most tokens it may still produce. */
	tokens: number;
	/** URL of the worker that last failed this job: another one is preferred, if one is ready. */
	avoid: string | null;
}

/** A slot that one job has until its heartbeats stop. */
export interface Lease {
	/** Rises with every lease of the pool, so that a former holder cannot free the slot. */
	epoch: number;
	/** The worker's URL. */
	url: string;
	/** Identifies the worker's weights; half of the encoder cache's key. */
	digest: string;
	/** Jobs that have a slot now, for pacing. */
	running: number;
}

/** Half of such jobs are no later than `p50`, nine tenths than `p90`. */
const Quantiles = z.object({ p50: z.int(), p90: z.int() });
export type Quantiles = z.infer<typeof Quantiles>;

/** The estimated times of a waiting job, in milliseconds from now. */
export const Eta = z
	.object({
		start: Quantiles,
		first_token: Quantiles,
		finish: Quantiles,
		/** Whether a worker must start first. The estimates include that time. */
		cold: z.boolean(),
	})
	.openapi("Eta");
export type Eta = z.infer<typeof Eta>;

/** A job's place in the queue. */
export interface QueuePlace {
	/** 1 is next. */
	position: number;
	eta: Eta;
}

/** `queued` where all ready workers are busy; `provisioning` where no worker is ready. */
export type WaitingStatus = "queued" | "provisioning";

export type SlotResult =
	| { status: "granted"; lease: Lease }
	/** The Pool calls `Job.granted` when the job gets a slot. */
	| ({ status: WaitingStatus } & QueuePlace);

/**
 * What the end of an attempt tells of the worker: it is healthy (`finished`, also after a cancel),
 * it may be failing (`failed`), or it does not respond like a ready worker (`down`).
 */
export type ReleaseReason = "finished" | "failed" | "down";

/** What an attempt took, for the Pool's estimates. */
export interface AttemptTimes {
	/** From the grant to the attempt's first token; null where none came. */
	firstTokenMs: number | null;
	/** Tokens of this attempt alone. */
	tokens: number;
	/** From the grant to the attempt's end. */
	ms: number;
}

export interface HeartbeatResult {
	/** False where the lease has ended; the slot may belong to another job. */
	leased: boolean;
	/** Jobs that have a slot now, for pacing. */
	running: number;
}

export interface WorkerLoad {
	/** Without user, path or query. */
	origin: string;
	/**
	 * `ready`, `draining` and `starting` are what the worker reports. `away`: it does not answer as a
	 * worker does. `mistaken`: it serves another model. `broken`: its circuit breaker is open.
	 * `unknown`: the pool has not probed it yet.
	 */
	state:
		| "ready"
		| "draining"
		| "starting"
		| "away"
		| "mistaken"
		| "broken"
		| "unknown";
	/** How many requests it runs at once; 0 while it is not ready. */
	slots: number;
	/** Slots in use. */
	running: number;
}

/** A pool's load, for operators and autoscaling. */
export interface Load {
	/** Slots in use. */
	running: number;
	/** Jobs in the queue. */
	waiting: number;
	/** All slots of ready workers. */
	ready_slots: number;
	/** Estimated seconds of queued work per ready slot; for one slot where none is ready. */
	queued_seconds_per_slot: number;
	workers: WorkerLoad[];
}
