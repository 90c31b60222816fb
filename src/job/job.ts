/**
 * One object per job: claims it, reads the backend's stream into an append-only log, feeds the readers from the log,
 * and settles it exactly once. It survives restarts of itself, of its backend and of the account, from what is in SQLite.
 */
import { DurableObject } from "cloudflare:workers";
import type { Resolution } from "../account/contract.ts";
import { sha256 } from "../account/key.ts";
import { backendAt } from "../backends/address.ts";
import type { Backend } from "../backends/backend.ts";
import { config, type Env } from "../env.ts";
import { log } from "../log.ts";
import { measure } from "../metrics/measure.ts";
import type { Lease } from "../pool/contract.ts";
import { traceId } from "../trace.ts";
import { Alarm } from "./alarm.ts";
import type { Sink } from "./attempt.ts";
import { Calls } from "./calls.ts";
import type { Erased, JobSpec, JobView, Started } from "./contract.ts";
import { alarmAt, unanswered } from "./due.ts";
import type { Batch } from "./log.ts";
import { type Moment, measures } from "./measures.ts";
import { pace } from "./pacing.ts";
import { CONTENT, Readers } from "./readers.ts";
import { JobRecord, type Kept } from "./record.ts";
import { changeAfter } from "./run.ts";
import { Slot } from "./slot.ts";
import { decide, isOpen, type JobChange } from "./state.ts";
import { outcomeOf, viewOf } from "./view.ts";
import { within } from "./within.ts";

/** What broke, or was begun and never ended, is taken up again after this. */
const RETRY_MS = 5_000;
/** The platform ends longer work; the next attempt continues from the log. */
const LONGEST_ATTEMPT_MS = 14 * 60_000;
/** When the account asks again after a job that still runs. */
const ASK_AGAIN_MS = 60_000;
/** A caller's answer waits no longer than this for a place in the queue, or for a canceled job to be settled. */
const PLACE_WITHIN_MS = 250;
const SETTLED_WITHIN_MS = 2_000;

export class Job extends DurableObject<Env> {
	// Own properties are out of reach of RPC; tests replace and read them.
	clock = (): number => Date.now();
	random = (): number => Math.random();
	backend = (model: string, { url }: Lease): Backend => {
		const address = config(this.env)
			.models.get(model)
			?.workers.find((worker) => worker.url === url);
		if (!address) throw new Error(`${model} is not served there any more`);
		return backendAt(address);
	};
	longestAttempt = LONGEST_ATTEMPT_MS;

	#kept: Kept;
	readonly #alarm: Alarm;
	readonly #calls: Calls;
	readonly #readers: Readers;
	/** The work in progress, if any; never rejects. */
	#driven: Promise<void> = Promise.resolve();
	#driving = false;
	/** The instance before this one died in an attempt. */
	#interrupted: boolean;
	/** The pool knows that this job waits, and will call. */
	#asked = false;
	#asking: Promise<void> = Promise.resolve();
	/** Where an attempt is in progress. */
	#slot: Slot | null = null;
	#writes = 0;

	constructor(ctx: DurableObjectState, env: Env) {
		super(ctx, env);
		this.#alarm = new Alarm(ctx.storage);
		this.#calls = new Calls(env);
		this.#kept = JobRecord.open(ctx.storage);
		this.#interrupted = this.#record?.state.phase === "running";
		this.#readers = new Readers(
			ctx.getWebSockets(),
			this.#record?.log.lastSeq ?? 0,
		);
	}

	/** Calls to other objects and durable writes of this instance; also in the log line of the job's end. */
	get #counts() {
		return { rpcs: this.#calls.count, writes: this.#writes };
	}

	get #record(): JobRecord | null {
		return this.#kept instanceof JobRecord ? this.#kept : null;
	}

	/** Claims and starts the job. Repeating it changes nothing; after a tombstone it is refused. */
	async start(spec: JobSpec): Promise<Started> {
		if (this.#kept && !this.#record)
			return { ok: false, failure: { code: "job_gone" } };
		const known = this.#record;
		if (known) {
			this.#kick();
			return { ok: true, view: await this.#view(known) };
		}
		const now = this.clock();
		const record = this.#write(() => {
			this.#alarm.by(now + RETRY_MS);
			return JobRecord.claim(this.ctx.storage.sql, spec, now);
		});
		this.#kept = record;
		this.#show();
		this.#kick();
		await within(PLACE_WITHIN_MS, this.#asking);
		return { ok: true, view: await viewOf(record, record.state.place) };
	}

	/** What became of the job, for the Account. A job that never started never will: that is the tombstone. */
	async resolve(): Promise<Resolution> {
		this.#kept ??= this.#write(() => JobRecord.bury(this.ctx.storage.sql));
		const outcome =
			this.#kept instanceof JobRecord
				? outcomeOf(this.#kept)
				: this.#kept.outcome;
		if (outcome) return { answer: "finished", outcome };
		if (!this.#record) return { answer: "void" };
		this.#kick();
		return { answer: "running", until: this.clock() + ASK_AGAIN_MS };
	}

	/** The public state, or null where no job was started, or it was erased. */
	async view(): Promise<JobView | null> {
		const record = this.#record;
		if (!record) return null;
		this.#kick();
		return this.#view(record);
	}

	/** Ends the job where it is: free if nothing was shown. One that ended stays as it is. @returns as `view` */
	async cancel(): Promise<JobView | null> {
		const record = this.#record;
		if (!record) return null;
		this.#end(record, { type: "cancel" });
		this.#kick();
		await within(SETTLED_WITHIN_MS, this.#driven);
		return viewOf(record, null);
	}

	/** The log and all that was asked are gone, a tombstone stays. Repeating it changes nothing. */
	async erase(): Promise<Erased> {
		const record = this.#record;
		if (record && record.state.phase !== "finished") {
			this.#kick();
			return "running";
		}
		if (record) this.#kept = this.#write(() => record.erase());
		this.#kept ??= this.#write(() => JobRecord.bury(this.ctx.storage.sql));
		this.#readers.dismiss();
		return "erased";
	}

	/** From the Pool: a slot is this job's. @returns whether the job has use for it */
	async granted(lease: Lease): Promise<boolean> {
		if (this.#change({ type: "granted", lease })) this.#kick();
		return this.#record?.state.lease?.epoch === lease.epoch;
	}

	/** A reader's socket, see `Readers.accept`; events flow once the reader says where it stands. */
	override async fetch(request: Request): Promise<Response> {
		const record = this.#record;
		if (!record) return new Response(null, { status: 404 });
		const response = this.#readers.accept(this.ctx, record, request);
		if (response.webSocket) this.#change({ type: "watched" });
		this.#kick();
		return response;
	}

	override webSocketMessage(socket: WebSocket, message: unknown): void {
		const record = this.#record;
		if (record) this.#readers.hear(socket, message, record.log);
	}

	override webSocketClose(socket: WebSocket, code: number): void {
		this.#left(socket, code !== CONTENT);
	}

	override webSocketError(socket: WebSocket): void {
		this.#left(socket, true);
	}

	/** Fires all the while the job runs, which keeps the object in memory; starts what should run and does not. */
	override async alarm(): Promise<void> {
		this.#alarm.fired();
		this.#asked = false;
		try {
			this.#kick();
			await this.#slot?.heartbeat();
		} catch (error) {
			log("alarm_failed", { object: "job", cause: String(error) });
		} finally {
			this.#rearm();
		}
	}

	/** Any call comes by here: whatever is due is done, whatever should run runs, and an alarm is set. */
	#kick(): void {
		const record = this.#record;
		if (!record || record.state.phase === "finished") return;
		// Readers that a restart cut off closed no socket of this instance.
		if (!this.#readers.any) this.#change({ type: "left", lost: true });
		while (this.#end(record, { type: "time" }));
		if (this.#driving) return;
		if (record.state.phase === "waiting" && this.#asked) return;
		this.#driving = true;
		this.#rearm();
		this.#driven = this.#drive(record)
			.catch((error) => {
				log("job_failed", { object: "job", cause: String(error?.stack) });
				// Whatever broke, the state in SQLite says where to go on.
				this.#slot = null;
				this.#interrupted = record.state.phase === "running";
				this.#alarm.by(this.clock() + RETRY_MS);
			})
			.finally(() => {
				this.#driving = false;
			});
		this.ctx.waitUntil(this.#driven);
	}

	/** Takes the job as far as it goes now; an alarm, the Pool or a caller takes it on from there. */
	async #drive(record: JobRecord): Promise<void> {
		if (this.#interrupted) {
			this.#interrupted = false;
			this.#change({ type: "interrupted", tokens: record.log.tokens });
		}
		for (;;) {
			switch (record.state.phase) {
				case "waiting":
					this.#asking = this.#acquire(record);
					await this.#asking;
					if (record.state.phase === "waiting") return;
					break;
				case "running":
					await this.#attempt(record);
					break;
				case "backoff":
					if (!this.#change({ type: "time" })) return;
					break;
				case "settling":
					if (!(await this.#settle(record))) return;
					break;
				case "finished":
					return;
			}
		}
	}

	async #acquire(record: JobRecord): Promise<void> {
		const { spec, state } = record;
		const acquired = await this.#calls.acquire(spec, {
			resumed: state.attempts > 0,
			tokens: spec.sampling.max_tokens - record.log.tokens,
			avoid: state.avoid,
		});
		this.#asked = acquired !== null;
		if (acquired?.answer === "granted")
			this.#change({ type: "granted", lease: acquired.lease });
		else if (acquired) {
			const { answer, ...place } = acquired;
			this.#change({ type: "placed", answer, place });
		}
		const now = this.clock();
		if (!isOpen(record.state)) await this.#calls.leave(spec);
		else if (!acquired) this.#alarm.by(unanswered(record.state, now));
		else if (record.state.phase === "waiting")
			this.#alarm.notBefore(alarmAt(record.state, now) ?? now);
	}

	async #attempt(record: JobRecord): Promise<void> {
		const { spec } = record;
		const lease = record.state.lease as Lease;
		// A planned seam keeps its slot.
		const slot =
			this.#slot?.lease.epoch === lease.epoch
				? this.#slot
				: new Slot(record, lease, this.#calls, this.clock);
		this.#slot = slot;
		const sink: Sink = {
			begun: (run) => this.#write(() => record.begun(run)),
			prompt: (prompt) => record.rendered(prompt),
			commit: async (batch) => {
				if (record.state.phase !== "running") return;
				const before = momentOf(record);
				this.#write(() => record.append(batch));
				this.#measure(record, before, null);
				await this.#readers.publish(this.ctx.storage, record.log);
			},
			pace: () => pace(this.#readers.size, slot.running),
		};
		const { ending, hangUp } = await slot.attempt(
			this.backend(spec.model, lease),
			config(this.env),
			sink,
			this.longestAttempt,
		);
		if (ending.end === "failed")
			log("attempt_failed", {
				job: spec.id,
				trace: spec.trace && traceId(spec.trace),
				attempt: record.state.attempts,
				code: ending.error.code,
			});
		this.#change(
			changeAfter(ending, hangUp, record.log.tokens, this.random()),
			ending.end === "finished" ? ending.rest : null,
		);
		if (record.state.phase === "running") return;
		this.#slot = null;
		this.ctx.waitUntil(slot.release(ending));
	}

	/** @returns whether the account acknowledged */
	async #settle(record: JobRecord): Promise<boolean> {
		const { spec, state } = record;
		const outcome = outcomeOf(record);
		const settlement = outcome && (await this.#calls.settle(spec, outcome));
		if (!settlement) return false;
		const digest = await sha256(record.log.text);
		this.#change({ type: "settled", settlement }, null, digest);
		log("job", {
			job: spec.id,
			trace: spec.trace && traceId(spec.trace),
			status: outcome.status,
			tokens: outcome.outputTokens,
			attempts: state.attempts,
			...this.#counts,
		});
		return true;
	}

	/** What ends a job from outside an attempt. @returns whether anything changed */
	#end(record: JobRecord, change: JobChange): boolean {
		const { phase } = record.state;
		if (!this.#change(change)) return false;
		if (isOpen(record.state)) return true;
		if (this.#slot) this.#slot.hangUp("over");
		else if (phase !== "backoff")
			this.ctx.waitUntil(this.#calls.leave(record.spec));
		return true;
	}

	#left(socket: WebSocket, lost: boolean): void {
		this.#readers.leave(socket);
		if (!this.#readers.any) this.#change({ type: "left", lost });
	}

	async #view(record: JobRecord): Promise<JobView> {
		const place =
			record.state.phase === "waiting"
				? await within(PLACE_WITHIN_MS, this.#calls.place(record.spec))
				: null;
		return viewOf(record, place);
	}

	/**
	 * Decides and writes, in one transaction.
	 * @returns false where the change came too late or too early
	 */
	#change(
		change: JobChange,
		rest: Batch | null = null,
		digest: string | null = null,
	): boolean {
		const record = this.#record;
		const decision = record && decide(record.state, change, this.clock());
		if (!decision) return false;
		const before = momentOf(record);
		this.#write(() => {
			record.apply(decision, rest, digest);
			this.#rearm();
		});
		this.#measure(record, before, change);
		this.#show();
		return true;
	}

	#measure(record: JobRecord, before: Moment, change: JobChange | null): void {
		const { spec } = record;
		const after = momentOf(record);
		const now = this.clock();
		measure(this.env, this.ctx, measures(spec, before, after, change, now));
	}

	/** A write that fails leaves memory ahead of storage: only a fresh instance is right again. */
	#write<T>(change: () => T): T {
		this.#writes++;
		try {
			return this.ctx.storage.transactionSync(change);
		} catch (error) {
			log("write_failed", { object: "job", cause: String(error) });
			this.ctx.abort("write failed");
			throw error;
		}
	}

	/** Nobody waits for it: a storage that cannot sync resets the object by itself. */
	#show(): void {
		const record = this.#record;
		if (record)
			this.#readers.publish(this.ctx.storage, record.log).catch(() => {});
	}

	#rearm(): void {
		const record = this.#record;
		const next = record && alarmAt(record.state, this.clock());
		if (next === null) this.#alarm.set(null);
		else this.#alarm.by(next);
	}
}

const momentOf = ({ state, log }: JobRecord): Moment => ({
	state,
	tokens: log.tokens,
});
