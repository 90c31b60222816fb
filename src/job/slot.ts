/** A job's slot on a worker: makes attempts in it, sends heartbeats, gives it back to the Pool. */
import type { AbortReason, Backend } from "../backends/backend.ts";
import type { AttemptTimes, Lease } from "../contract/pool.ts";
import type { Config } from "../env.ts";
import {
	type AttemptEnd,
	type AttemptSink,
	releasedAfter,
	runAttempt,
} from "./attempt.ts";
import type { JobRecord } from "./record.ts";
import type { Rpcs } from "./rpcs.ts";

export class Slot {
	readonly lease: Lease;
	/** How many jobs of the pool run, as the Pool last reported. */
	running: number;
	readonly #rpcs: Rpcs;
	readonly #record: JobRecord;
	readonly #clock: () => number;
	readonly #grantedAt: number;
	readonly #tokensBefore: number;
	#firstTokenAt: number | null = null;
	#controller = new AbortController();

	constructor(
		record: JobRecord,
		lease: Lease,
		rpcs: Rpcs,
		clock: () => number,
	) {
		this.lease = lease;
		this.running = lease.running;
		this.#record = record;
		this.#rpcs = rpcs;
		this.#clock = clock;
		this.#grantedAt = clock();
		this.#tokensBefore = record.log.tokens;
	}

	/**
	 * Makes the next attempt.
	 * @param longest milliseconds after which the job changes to another attempt, if that can
	 * continue this one
	 * @throws as `runAttempt`
	 */
	async attempt(
		backend: Backend,
		config: Config,
		sink: AttemptSink,
		longest: number,
	): Promise<{ end: AttemptEnd; abortReason: AbortReason }> {
		this.#controller = new AbortController();
		const { signal } = this.#controller;
		const timer = setTimeout(() => {
			if (backend.continues || this.#record.state.run !== null)
				this.abort("seam");
		}, longest);
		const commit: AttemptSink["commit"] = (batch) => {
			this.#firstTokenAt ??= this.#clock();
			return sink.commit(batch);
		};
		const end = await runAttempt(
			this.#record,
			this.lease,
			backend,
			config,
			{ ...sink, commit },
			signal,
		).finally(() => clearTimeout(timer));
		return { end, abortReason: signal.reason };
	}

	/** Ends the attempt in progress. */
	abort(reason: AbortReason): void {
		this.#controller.abort(reason);
	}

	/** Renews the lease, and ends the attempt where the lease was lost. */
	async heartbeat(): Promise<void> {
		const renewal = await this.#rpcs.heartbeat(this.#record.spec, this.lease);
		if (renewal) this.running = renewal.running;
		if (renewal?.leased === false) this.abort("lease_lost");
	}

	release(end: AttemptEnd): Promise<void> {
		return this.#rpcs.release(
			this.#record.spec,
			this.lease,
			releasedAfter(end),
			end.type === "finished" ? this.#times() : null,
		);
	}

	#times(): AttemptTimes {
		const ms = this.#clock() - this.#grantedAt;
		const tokens = this.#record.log.tokens - this.#tokensBefore;
		const first =
			this.#firstTokenAt === null ? ms : this.#firstTokenAt - this.#grantedAt;
		return { firstTokenMs: tokens > 0 ? first : null, tokens, ms };
	}
}

/**
 * From this many running jobs on, the commits of all jobs limit the pace, not one job's readers.
 */
const MANY_JOBS = 40;

/**
 * Milliseconds between two batches. More readers of this job mean more messages for each batch, and
 * more running jobs mean more commits.
 * @param readers connected to this job
 * @param running jobs of the same pool
 */
export function pace(readers: number, running: number): number {
	const wait = Math.max(30, Math.min(500, readers / 10));
	return running >= MANY_JOBS ? Math.max(100, wait) : wait;
}
