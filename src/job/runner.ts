/**
 * Runs a job: requests a slot from the Pool, makes attempts, settles with the Account. After an
 * interruption an alarm, the Pool or a caller makes it continue.
 */
import type { Lease } from "../contract/pool.ts";
import { sha256 } from "../crypto.ts";
import { config } from "../env.ts";
import { logLine } from "../log.ts";
import { traceId } from "../trace.ts";
import { changeAfter } from "./attempt.ts";
import type { JobContext } from "./context.ts";
import { alarmAt, rpcRetryAt } from "./due.ts";
import { pace, Slot } from "./slot.ts";
import type { JobChange } from "./state.ts";
import type { JobStore } from "./store.ts";
import { outcomeOf } from "./view.ts";

/** How long after an unexpected error the runner continues. */
const RETRY_MS = 5_000;

export class JobRunner {
	/** The work in progress; never rejects. */
	done: Promise<void> = Promise.resolve();
	/** The last request for a slot; never rejects. */
	acquiring: Promise<void> = Promise.resolve();
	readonly #store: JobStore;
	readonly #context: JobContext;
	#isRunning = false;
	/** The last attempt ended unexpectedly: the object restarted, or this instance failed in it. */
	#wasInterrupted: boolean;
	/** The job is in the Pool's queue, and the Pool calls it when it has a slot. */
	#isQueued = false;
	/** Set while an attempt is in progress. */
	#slot: Slot | null = null;

	constructor(store: JobStore, context: JobContext) {
		this.#store = store;
		this.#context = context;
		this.#wasInterrupted = store.record.state.phase === "running";
	}

	/** Does what is due, starts the work that the state asks for, and sets the alarm. */
	advance(): void {
		const { record } = this.#store;
		const { readers, alarm, clock, ctx } = this.#context;
		if (record.state.phase === "finished") return;
		// A restart closes no socket, so readers that it cut off are noticed here.
		if (!readers.hasAny)
			this.#store.change({ type: "readers_left", how: "lost" });
		while (this.end({ type: "time" }));
		if (this.#isRunning) return;
		if (record.state.phase === "waiting" && this.#isQueued) return;
		this.#isRunning = true;
		this.#store.rearm();
		this.done = this.#run()
			.catch((error) => {
				logLine("job_failed", { object: "job", cause: String(error?.stack) });
				// The state in SQLite says where to continue.
				this.#slot = null;
				this.#wasInterrupted = record.state.phase === "running";
				alarm.bringForward(clock() + RETRY_MS);
			})
			.finally(() => {
				this.#isRunning = false;
			});
		ctx.waitUntil(this.done);
	}

	/**
	 * Applies a change that ends the job from outside of an attempt.
	 * @returns whether it did anything
	 */
	end(change: JobChange): boolean {
		const { record } = this.#store;
		const { rpcs, ctx } = this.#context;
		const { phase } = record.state;
		if (!this.#store.change(change)) return false;
		if (this.#store.isOpen) return true;
		if (this.#slot) this.#slot.abort("over");
		else if (phase !== "backoff") ctx.waitUntil(rpcs.leave(record.spec));
		return true;
	}

	/** Requests the slot again, in case the Pool lost the job, and sends the slot's heartbeat. */
	async onAlarm(): Promise<void> {
		this.#isQueued = false;
		this.advance();
		await this.#slot?.heartbeat();
	}

	async #run(): Promise<void> {
		const { record } = this.#store;
		if (this.#wasInterrupted) {
			this.#wasInterrupted = false;
			const { tokens } = record.log;
			const random = this.#context.random();
			this.#store.change({ type: "interrupted", tokens, random });
		}
		for (;;) {
			switch (record.state.phase) {
				case "waiting":
					this.acquiring = this.#acquire();
					await this.acquiring;
					if (record.state.phase === "waiting") return;
					break;
				case "running":
					await this.#attempt();
					break;
				case "backoff":
					if (!this.#store.change({ type: "time" })) return;
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
		const { record } = this.#store;
		const { spec } = record;
		const { rpcs, alarm, clock } = this.#context;
		const acquired = await rpcs.acquire(spec, {
			resumed: record.state.attempts > 0,
			tokens: spec.sampling.max_tokens - record.log.tokens,
			avoid: record.state.avoid,
		});
		this.#isQueued = acquired !== null;
		if (acquired?.status === "granted")
			this.#store.change({ type: "granted", lease: acquired.lease });
		else if (acquired) {
			const { status, ...place } = acquired;
			this.#store.change({ type: "placed", status, place });
		}
		const now = clock();
		if (!this.#store.isOpen) await rpcs.leave(spec);
		else if (!acquired) alarm.bringForward(rpcRetryAt(record.state, now));
		else if (record.state.phase === "waiting")
			alarm.postpone(alarmAt(record.state, now) ?? now);
	}

	async #attempt(): Promise<void> {
		const store = this.#store;
		const { record } = store;
		const { spec } = record;
		const { env, ctx, readers, random, backend, longestAttempt } =
			this.#context;
		const lease = record.state.lease as Lease;
		const slot = this.#slotOf(lease);
		this.#slot = slot;
		const { end, abortReason } = await slot.attempt(
			backend(spec.model, lease),
			config(env),
			{
				begun: (run) => store.begun(run),
				prompt: (prompt) => record.rendered(prompt),
				commit: (batch) => store.append(batch),
				pace: () => pace(readers.size, slot.running),
			},
			longestAttempt(),
		);
		if (end.type === "failed")
			logLine("attempt_failed", {
				job: spec.id,
				trace: spec.trace && traceId(spec.trace),
				attempt: record.state.attempts,
				code: end.error.code,
			});
		const { tokens } = record.log;
		store.change(
			changeAfter(end, record.turn, abortReason, tokens, random()),
			end.type === "finished" ? end.rest : null,
		);
		if (record.state.phase === "running") return;
		this.#slot = null;
		ctx.waitUntil(slot.release(end));
	}

	/** A planned seam keeps its slot, and so does the answer that follows a description. */
	#slotOf(lease: Lease): Slot {
		const { rpcs, clock } = this.#context;
		return this.#slot?.lease.epoch === lease.epoch
			? this.#slot
			: new Slot(this.#store.record, lease, rpcs, clock);
	}

	/** @returns whether the Account acknowledged */
	async #settle(): Promise<boolean> {
		const { record } = this.#store;
		const { spec, state } = record;
		const { rpcs, storage } = this.#context;
		const outcome = outcomeOf(record);
		const settlement = outcome && (await rpcs.settle(spec, outcome));
		if (!settlement) return false;
		const digest = await sha256(record.log.answer.text);
		this.#store.change({ type: "settled", settlement }, null, digest);
		logLine("job", {
			job: spec.id,
			trace: spec.trace && traceId(spec.trace),
			status: outcome.status,
			tokens: record.log.tokens,
			attempts: state.attempts,
			rpcs: rpcs.count,
			writes: storage.writes,
		});
		return true;
	}
}
