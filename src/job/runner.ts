/** Takes a job as far as it goes: asks for a slot, runs attempts, settles. An alarm, the Pool or a caller takes it on from there. */

import type { Backend } from "../backends/backend.ts";
import type { Lease } from "../contract/pool.ts";
import { sha256 } from "../crypto.ts";
import { config } from "../env.ts";

import { log } from "../log.ts";
import { traceId } from "../trace.ts";
import type { Calls } from "./calls.ts";
import { alarmAt, unanswered } from "./due.ts";
import { pace } from "./pacing.ts";
import { changeAfter } from "./run.ts";
import { Slot } from "./slot.ts";
import type { JobChange } from "./state.ts";
import type { JobStore, StoreContext } from "./store.ts";
import { outcomeOf } from "./view.ts";

/** What broke is taken up again after this. */
const RETRY_MS = 5_000;

export interface JobContext extends StoreContext {
	calls: Calls;
	/** In [0, 1), spreads retries. */
	random: () => number;
	backend: (model: string, lease: Lease) => Backend;
	/** Of an attempt, in milliseconds. */
	longest: () => number;
}

export class JobRunner {
	/** The work in progress, if any; never rejects. */
	done: Promise<void> = Promise.resolve();
	/** The last question to the pool; never rejects. */
	asking: Promise<void> = Promise.resolve();
	readonly #life: JobStore;
	readonly #by: JobContext;
	#driving = false;
	/** The instance before this one died in an attempt, or this one broke in it. */
	#interrupted: boolean;
	/** The pool knows that this job waits, and will call. */
	#waits = false;
	/** Where an attempt is in progress. */
	#slot: Slot | null = null;

	/** @param life new, or as the instance before left it */
	constructor(life: JobStore, means: JobContext) {
		this.#life = life;
		this.#by = means;
		this.#interrupted = life.record.state.phase === "running";
	}

	/** Whatever is due is done, whatever should run runs, and an alarm is set. */
	advance(): void {
		const { record } = this.#life;
		if (record.state.phase === "finished") return;
		// Readers that a restart cut off closed no socket of this instance.
		if (!this.#by.readers.any) this.#life.change({ type: "left", how: "lost" });
		while (this.end({ type: "time" }));
		if (this.#driving) return;
		if (record.state.phase === "waiting" && this.#waits) return;
		this.#driving = true;
		this.#life.rearm();
		this.done = this.#drive()
			.catch((error) => {
				log("job_failed", { object: "job", cause: String(error?.stack) });
				// Whatever broke, the state in SQLite says where to go on.
				this.#slot = null;
				this.#interrupted = record.state.phase === "running";
				this.#by.alarm.bringForward(this.#by.clock() + RETRY_MS);
			})
			.finally(() => {
				this.#driving = false;
			});
		this.#by.ctx.waitUntil(this.done);
	}

	/** What ends a job from outside an attempt. @returns whether anything changed */
	end(change: JobChange): boolean {
		const { record } = this.#life;
		const { phase } = record.state;
		if (!this.#life.change(change)) return false;
		if (this.#life.isOpen) return true;
		if (this.#slot) this.#slot.hangUp("over");
		else if (phase !== "backoff")
			this.#by.ctx.waitUntil(this.#by.calls.leave(record.spec));
		return true;
	}

	/** The alarm fired: asks the pool again, in case it forgot the job, and keeps the slot. */
	async onAlarm(): Promise<void> {
		this.#waits = false;
		this.advance();
		await this.#slot?.heartbeat();
	}

	async #drive(): Promise<void> {
		const { record } = this.#life;
		if (this.#interrupted) {
			this.#interrupted = false;
			const { tokens } = record.log;
			this.#life.change({
				...{ type: "interrupted", tokens },
				random: this.#by.random(),
			});
		}
		for (;;) {
			switch (record.state.phase) {
				case "waiting":
					this.asking = this.#acquire();
					await this.asking;
					if (record.state.phase === "waiting") return;
					break;
				case "running":
					await this.#attempt();
					break;
				case "backoff":
					if (!this.#life.change({ type: "time" })) return;
					break;
				case "settling":
					if (!(await this.#settle())) return;
					break;
				case "finished":
					return;
			}
		}
	}

	async #acquire(): Promise<void> {
		const { record } = this.#life;
		const { calls, alarm, clock } = this.#by;
		const acquired = await calls.acquire(record.spec, {
			resumed: record.state.attempts > 0,
			tokens: record.spec.sampling.max_tokens - record.log.tokens,
			avoid: record.state.avoid,
		});
		this.#waits = acquired !== null;
		if (acquired?.answer === "granted")
			this.#life.change({ type: "granted", lease: acquired.lease });
		else if (acquired) {
			const { answer, ...place } = acquired;
			this.#life.change({ type: "placed", answer, place });
		}
		const now = clock();
		if (!this.#life.isOpen) await calls.leave(record.spec);
		else if (!acquired) alarm.bringForward(unanswered(record.state, now));
		else if (record.state.phase === "waiting")
			alarm.postpone(alarmAt(record.state, now) ?? now);
	}

	async #attempt(): Promise<void> {
		const life = this.#life;
		const { record } = life;
		const { spec } = record;
		const { env, calls, readers, clock } = this.#by;
		const lease = record.state.lease as Lease;
		// A planned seam keeps its slot.
		const slot =
			this.#slot?.lease.epoch === lease.epoch
				? this.#slot
				: new Slot(record, lease, calls, clock);
		this.#slot = slot;
		const { ending, hangUp } = await slot.attempt(
			this.#by.backend(spec.model, lease),
			config(env),
			{
				begun: (run) => life.begun(run),
				prompt: (prompt) => record.rendered(prompt),
				commit: (batch) => life.append(batch),
				pace: () => pace(readers.size, slot.running),
			},
			this.#by.longest(),
		);
		if (ending.end === "failed")
			log("attempt_failed", {
				job: spec.id,
				trace: spec.trace && traceId(spec.trace),
				attempt: record.state.attempts,
				code: ending.error.code,
			});
		life.change(
			changeAfter(ending, hangUp, record.log.tokens, this.#by.random()),
			ending.end === "finished" ? ending.rest : null,
		);
		if (record.state.phase === "running") return;
		this.#slot = null;
		this.#by.ctx.waitUntil(slot.release(ending));
	}

	/** @returns whether the account acknowledged */
	async #settle(): Promise<boolean> {
		const { record } = this.#life;
		const { spec, state } = record;
		const { calls, store } = this.#by;
		const outcome = outcomeOf(record);
		const settlement = outcome && (await calls.settle(spec, outcome));
		if (!settlement) return false;
		const digest = await sha256(record.log.text);
		this.#life.change({ type: "settled", settlement }, null, digest);
		log("job", {
			job: spec.id,
			trace: spec.trace && traceId(spec.trace),
			status: outcome.status,
			tokens: outcome.outputTokens,
			attempts: state.attempts,
			rpcs: calls.count,
			writes: store.writes,
		});
		return true;
	}
}
