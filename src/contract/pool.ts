/** What a Pool is asked and answers over RPC. Jobs are named `<account>/<job id>`; durations are milliseconds. */

/** What a job says of itself when it asks for a slot. */
export interface SlotRequest {
	model: string;
	job: string;
	account: string;
	/** Its readers are in the middle of a sentence: it goes before all that have shown nothing. */
	resumed: boolean;
	/** The most tokens it may still produce. */
	tokens: number;
	/** URL of the worker that failed it last: it gets another one, if another is ready. */
	avoid: string | null;
}

/** A slot on a backend, given to one job until its heartbeats stop. */
export interface Lease {
	/** Rises with every grant of the pool: an old holder cannot free a new holder's slot. */
	epoch: number;
	/** Where the worker answers. */
	url: string;
	/** Names the worker's weights; half of the encoder cache's key. */
	digest: string;
	/** Jobs that hold a slot now, for pacing. */
	running: number;
}

/** Milliseconds from now, by which a half, and nine in ten, of such jobs are there. */
export interface Quantiles {
	p50: number;
	p90: number;
}

/** When a waiting job will be how far. */
export interface Eta {
	start: Quantiles;
	first_token: Quantiles;
	finish: Quantiles;
	/** No worker is up: one must start first, and that is in the figures. */
	cold: boolean;
}

/** A job's place in the queue. */
export interface QueuePlace {
	/** Jobs that will be served before it, as the queue is now, and itself: 1 is next. */
	position: number;
	eta: Eta;
}

/** What a job waits for: a slot on workers that are up and busy, or a worker. */
export type WaitingStatus = "queued" | "provisioning";

export type SlotAnswer =
	| { answer: "granted"; lease: Lease }
	/** The pool calls `Job.granted` when a slot is this job's. */
	| ({ answer: WaitingStatus } & QueuePlace);

/**
 * How an attempt ended, and so what it says of the worker: `finished` (also by the caller's cancel) that it is well,
 * `failed` nothing certain, `down` that it did not answer as a ready one would.
 */
export type ReleaseReason = "finished" | "failed" | "down";

/** What the attempt measured; the pool's estimates are made of it. */
export interface AttemptTimes {
	/** From the grant to the attempt's first token; null where none came. */
	firstTokenMs: number | null;
	/** Tokens of this attempt. */
	tokens: number;
	/** From the grant to the attempt's end. */
	ms: number;
}

export interface HeartbeatAnswer {
	/** False: the lease ended, and the slot may be another job's. */
	held: boolean;
	/** Jobs that hold a slot now, for pacing. */
	running: number;
}

export interface WorkerLoad {
	/** Without user, path or query. */
	origin: string;
	/**
	 * `ready`; `draining` or `starting` by its own word; `away` when it does not answer as a worker does; `mistaken` when it
	 * serves another model; `broken` while its circuit is open; `unknown` until it is first asked.
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
	/** Slots taken. */
	running: number;
}

/** What autoscaling reads. */
export interface Load {
	/** Slots taken. */
	running: number;
	/** Jobs in the queue. */
	waiting: number;
	/** Slots of ready workers, taken or not. */
	ready_slots: number;
	/** Estimated seconds of work in the queue for each ready slot; for one slot while none is ready. */
	queued_seconds_per_slot: number;
	workers: WorkerLoad[];
}
