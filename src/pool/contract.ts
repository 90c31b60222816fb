/** What a Pool answers to Jobs over RPC. */

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

export type Acquired =
	| { answer: "granted"; lease: Lease }
	/** Workers are up and busy. The pool calls `Job.granted` when a slot is free. */
	| { answer: "queued" }
	/** No worker is up. The pool calls `Job.granted` when one is and a slot is free. */
	| { answer: "provisioning" };

/** Why a slot is given back: `down` says that the worker did not answer as a ready one would. */
export type Released = "finished" | "failed" | "down";
