/** A job's slot on a backend: its attempts there, its heartbeats, and what the Pool is told when it is given back. */
import type { Backend, HangUp } from "../backends/backend.ts";
import type { AttemptTimes, Lease } from "../contract/pool.ts";
import type { Config } from "../env.ts";

import type { AttemptEnd, AttemptSink } from "./attempt.ts";
import type { Calls } from "./calls.ts";
import type { JobRecord } from "./record.ts";
import { releasedAfter, run } from "./run.ts";

export class Slot {
	readonly lease: Lease;
	/** Jobs of the pool that run, as last heard. */
	running: number;
	readonly #calls: Calls;
	readonly #record: JobRecord;
	readonly #clock: () => number;
	readonly #grantedAt: number;
	readonly #tokensBefore: number;
	#firstTokenAt: number | null = null;
	#hangUp = new AbortController();

	constructor(
		record: JobRecord,
		lease: Lease,
		calls: Calls,
		clock: () => number,
	) {
		this.lease = lease;
		this.running = lease.running;
		this.#record = record;
		this.#calls = calls;
		this.#clock = clock;
		this.#grantedAt = clock();
		this.#tokensBefore = record.log.tokens;
	}

	/**
	 * The next attempt.
	 * @param longest ms after which it is moved on, if what it began can be gone on with
	 * @throws as `run`
	 */
	async attempt(
		backend: Backend,
		config: Config,
		sink: AttemptSink,
		longest: number,
	): Promise<{ ending: AttemptEnd; hangUp: HangUp }> {
		this.#hangUp = new AbortController();
		const { signal } = this.#hangUp;
		const timer = setTimeout(() => {
			if (backend.continues || this.#record.state.run !== null)
				this.hangUp("seam");
		}, longest);
		const commit: AttemptSink["commit"] = (batch) => {
			this.#firstTokenAt ??= this.#clock();
			return sink.commit(batch);
		};
		const ending = await run(
			this.#record,
			this.lease,
			backend,
			config,
			{ ...sink, commit },
			signal,
		).finally(() => clearTimeout(timer));
		return { ending, hangUp: signal.reason };
	}

	/** Ends the attempt in progress. */
	hangUp(why: HangUp): void {
		this.#hangUp.abort(why);
	}

	/** Keeps the slot; where it was lost the attempt is given up. */
	async heartbeat(): Promise<void> {
		const beat = await this.#calls.heartbeat(this.#record.spec, this.lease);
		if (beat) this.running = beat.running;
		if (beat?.held === false) this.hangUp("lease_lost");
	}

	release(ending: AttemptEnd): Promise<void> {
		return this.#calls.release(
			this.#record.spec,
			this.lease,
			releasedAfter(ending),
			ending.end === "finished" ? this.#measured() : null,
		);
	}

	#measured(): AttemptTimes {
		const ms = this.#clock() - this.#grantedAt;
		const tokens = this.#record.log.tokens - this.#tokensBefore;
		const first =
			this.#firstTokenAt === null ? ms : this.#firstTokenAt - this.#grantedAt;
		return { firstTokenMs: tokens > 0 ? first : null, tokens, ms };
	}
}
