/**
 * One object per job: claims it, reads the backend's stream into an append-only log, feeds the readers from the log,
 * and settles it exactly once. It survives restarts of itself, of its backend and of the account, from what is in SQLite.
 */
import { DurableObject } from "cloudflare:workers";
import type { Resolution } from "../account/contract.ts";
import { sha256 } from "../account/key.ts";
import type { Backend } from "../backends/backend.ts";
import { GpuWorker } from "../backends/worker.ts";
import { config, type Env } from "../env.ts";
import { log } from "../log.ts";
import type { Lease } from "../pool/contract.ts";
import type { Sink } from "./attempt.ts";
import { Calls } from "./calls.ts";
import type { JobSpec, JobView, Started } from "./contract.ts";
import type { Batch } from "./log.ts";
import { pace } from "./pacing.ts";
import { Readers } from "./readers.ts";
import { JobRecord, type Kept } from "./record.ts";
import { changeAfter, type HangUp, releasedAfter, run } from "./run.ts";
import { alarmAt, decide, type JobChange } from "./state.ts";
import { outcomeOf, viewOf } from "./view.ts";

/** A call to another object that failed is repeated after this. */
const RETRY_MS = 5_000;
/** The platform ends longer work; the next attempt continues from the log. */
const LONGEST_ATTEMPT_MS = 14 * 60_000;
/** When the account asks again after a job that still runs. */
const ASK_AGAIN_MS = 60_000;

export class Job extends DurableObject<Env> {
	// Own properties are out of reach of RPC; tests replace and read them.
	clock = (): number => Date.now();
	random = (): number => Math.random();
	backend = (model: string, { url }: Lease): Backend => {
		const address = config(this.env)
			.models.get(model)
			?.workers.find((worker) => worker.url === url);
		if (!address) throw new Error(`${model} is not served there any more`);
		return new GpuWorker(address);
	};
	longestAttempt = LONGEST_ATTEMPT_MS;

	#kept: Kept;
	readonly #readers: Readers;
	/** Last event that is durable and was sent to the live readers. */
	#shown: number;
	#driving = false;
	/** The pool knows that this job waits, and will call. */
	#asked = false;
	/** Ends the attempt in progress. */
	#hangUp: AbortController | null = null;
	/** The instance before this one died in an attempt. */
	#interrupted: boolean;
	/** Jobs of the pool that run, as last heard. */
	#running = 0;
	#writes = 0;
	readonly #calls: Calls;
	#alarm: number | null = null;

	constructor(ctx: DurableObjectState, env: Env) {
		super(ctx, env);
		this.#calls = new Calls(env, () => this.#arm(this.clock() + RETRY_MS));
		this.#kept = JobRecord.open(ctx.storage);
		this.#shown = this.#record?.log.lastSeq ?? 0;
		this.#interrupted = this.#record?.state.phase === "running";
		this.#readers = new Readers(ctx.getWebSockets());
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
		if (this.#kept === "tombstone")
			return { ok: false, failure: { code: "job_gone" } };
		if (!this.#record)
			this.#write(() => {
				this.#kept = JobRecord.claim(this.ctx.storage.sql, spec);
				this.#arm(this.clock() + RETRY_MS);
			});
		this.#show();
		this.#kick();
		return { ok: true, view: await viewOf(this.#record as JobRecord) };
	}

	/** What became of the job, for the Account. A job that never started never will: that is the tombstone. */
	async resolve(): Promise<Resolution> {
		if (this.#kept === null) {
			this.#write(() => JobRecord.bury(this.ctx.storage.sql));
			this.#kept = "tombstone";
		}
		const record = this.#record;
		if (!record) return { answer: "void" };
		const outcome = outcomeOf(record);
		if (outcome) return { answer: "finished", outcome };
		this.#kick();
		return { answer: "running", until: this.clock() + ASK_AGAIN_MS };
	}

	/** The public state, or null where no job was started. */
	async view(): Promise<JobView | null> {
		const record = this.#record;
		if (!record) return null;
		this.#kick();
		return viewOf(record);
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
		this.#kick();
		return this.#readers.accept(this.ctx, record, request);
	}

	/** The last sequence number that the reader has: it gets what comes after. Synchronous, so that nothing falls between. */
	override webSocketMessage(socket: WebSocket, message: unknown): void {
		const record = this.#record;
		const after = Number(message);
		if (record && Number.isSafeInteger(after))
			this.#readers.join(socket, record.log, after, this.#shown);
		else socket.close(1008);
	}

	override webSocketClose(socket: WebSocket): void {
		this.#readers.leave(socket);
	}

	override webSocketError(socket: WebSocket): void {
		this.#readers.leave(socket);
	}

	/** Fires all the while the job runs, which keeps the object in memory; starts what should run and does not. */
	override async alarm(): Promise<void> {
		this.#alarm = null;
		this.#asked = false;
		try {
			this.#kick();
			await this.#heartbeat();
		} catch (error) {
			log("alarm_failed", { object: "job", cause: String(error) });
		} finally {
			this.#rearm();
		}
	}

	/** Any call comes by here: whatever should run runs, and an alarm is set. */
	#kick(): void {
		const record = this.#record;
		if (this.#driving || !record || record.state.phase === "finished") return;
		if (record.state.phase === "waiting" && this.#asked) return;
		this.#driving = true;
		this.#rearm();
		const driven = this.#drive(record)
			.catch((error) => {
				log("job_failed", { object: "job", cause: String(error?.stack) });
				// Whatever broke, the state in SQLite says where to go on.
				this.#interrupted = this.#record?.state.phase === "running";
				this.#arm(this.clock() + RETRY_MS);
			})
			.finally(() => {
				this.#driving = false;
			});
		this.ctx.waitUntil(driven);
	}

	/** Takes the job as far as it goes now; an alarm, the Pool or a caller takes it on from there. */
	async #drive(record: JobRecord): Promise<void> {
		if (this.#interrupted) {
			this.#interrupted = false;
			this.#change({ type: "interrupted", tokens: record.log.ids.length });
		}
		for (;;) {
			switch (record.state.phase) {
				case "waiting":
					await this.#acquire(record);
					if (record.state.phase === "waiting") return;
					break;
				case "running":
					await this.#attempt(record);
					break;
				case "backoff":
					if (!this.#change({ type: "retry" })) return;
					break;
				case "settling":
					if (!(await this.#settle(record))) return;
					break;
				default:
					return;
			}
		}
	}

	async #acquire(record: JobRecord): Promise<void> {
		const acquired = await this.#calls.acquire(record.spec, {
			resumed: record.state.attempts > 0,
			tokens: record.spec.sampling.max_tokens - record.log.ids.length,
			avoid: null,
		});
		this.#asked = acquired !== null;
		if (acquired?.answer === "granted")
			this.#change({ type: "granted", lease: acquired.lease });
		else if (acquired?.answer === "provisioning")
			this.#change({ type: "provisioning" });
	}

	async #attempt(record: JobRecord): Promise<void> {
		const { spec } = record;
		const lease = record.state.lease as Lease;
		const hangUp = new AbortController();
		const timer = setTimeout(
			() => hangUp.abort("seam" satisfies HangUp),
			this.longestAttempt,
		);
		this.#hangUp = hangUp;
		this.#running = lease.running;
		const sink: Sink = {
			prompt: (prompt) => record.rendered(prompt),
			commit: (batch) => {
				this.#write(() => record.append(batch));
				return this.#publish();
			},
			pace: () => pace(this.#readers.size, this.#running),
		};
		const ending = await run(
			record,
			lease,
			this.backend(spec.model, lease),
			config(this.env),
			sink,
			hangUp.signal,
		).finally(() => clearTimeout(timer));
		if (ending.end === "failed")
			log("attempt_failed", {
				job: spec.id,
				attempt: record.state.attempts,
				code: ending.error.code,
			});
		this.#change(
			changeAfter(
				ending,
				hangUp.signal.reason,
				record.log.ids.length,
				this.random(),
			),
			ending.end === "finished" ? ending.rest : null,
		);
		// A planned seam keeps its slot.
		if (record.state.phase !== "running")
			this.ctx.waitUntil(
				this.#calls.release(spec, lease, releasedAfter(ending), null),
			);
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
			status: outcome.status,
			tokens: outcome.outputTokens,
			attempts: state.attempts,
			...this.#counts,
		});
		return true;
	}

	async #heartbeat(): Promise<void> {
		const record = this.#record;
		const lease = record?.state.lease;
		if (!lease || !this.#hangUp) return;
		const beat = await this.#calls.heartbeat(record.spec, lease);
		if (beat) this.#running = beat.running;
		const still = record.state.lease?.epoch === lease.epoch;
		if (beat?.held === false && still)
			this.#hangUp.abort("lease_lost" satisfies HangUp);
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
		this.#write(() => {
			record.apply(decision, rest, digest);
			this.#rearm();
		});
		this.#show();
		return true;
	}

	/** A write that fails leaves memory ahead of storage: only a fresh instance is right again. */
	#write(change: () => void): void {
		this.#writes++;
		try {
			this.ctx.storage.transactionSync(change);
		} catch (error) {
			log("write_failed", { object: "job", cause: String(error) });
			this.ctx.abort("write failed");
		}
	}

	/** Shows what is in the log, once it is durable. */
	async #publish(): Promise<void> {
		const log = this.#record?.log;
		if (!log) return;
		const upTo = log.lastSeq;
		await this.ctx.storage.sync();
		const from = this.#shown;
		if (upTo <= from) return;
		this.#shown = upTo;
		if (this.#readers.size > 0)
			this.#readers.broadcast(log.between(from, upTo, upTo - from));
	}

	/** As `#publish`, for those who need not wait. A storage that cannot sync resets the object by itself. */
	#show(): void {
		this.#publish().catch(() => {});
	}

	#rearm(): void {
		const record = this.#record;
		const next = record && alarmAt(record.state, this.clock());
		if (next !== null) this.#arm(next);
		else {
			this.#alarm = null;
			void this.ctx.storage.deleteAlarm();
		}
	}

	/** Brings the alarm forward, never back: an alarm that is pushed away keeps nothing alive. */
	#arm(at: number): void {
		if (this.#alarm !== null && this.#alarm <= at) return;
		this.#alarm = at;
		void this.ctx.storage.setAlarm(at);
	}
}
