/**
 * One object per job: claims it, reads the backend's stream into an append-only log, feeds the readers from the log,
 * and settles it exactly once. It survives restarts of itself, of its backend and of the account, from what is in SQLite.
 */
import { DurableObject } from "cloudflare:workers";
import { backendAt } from "../backends/address.ts";
import type { Backend } from "../backends/backend.ts";
import { unknownWorker } from "../backends/nowhere.ts";
import type { Resolution } from "../contract/account.ts";
import type {
	Erased,
	JobSpec,
	JobView,
	Started,
	Transcript,
} from "../contract/job.ts";
import type { Lease } from "../contract/pool.ts";
import { Alarm } from "../durable/alarm.ts";
import { ObjectStorage } from "../durable/storage.ts";
import { config } from "../env.ts";
import { log } from "../log.ts";
import type { Disconnect } from "../stream/readers.ts";
import { disconnectOf, Readers } from "../stream/readers.ts";
import { nullAfter } from "../time.ts";
import { Calls } from "./calls.ts";
import { JobRecord, type Tombstone } from "./record.ts";
import { type JobContext, JobRunner } from "./runner.ts";
import { STEPS } from "./schema.ts";
import { JobStore } from "./store.ts";
import { outcomeOf, viewOf } from "./view.ts";

/** A job whose object died right after its claim begins after this. */
const BEGIN_MS = 5_000;
/** The platform ends longer work; the next attempt continues from the log. */
const LONGEST_ATTEMPT_MS = 14 * 60_000;
/** When the account asks again after a job that still runs. */
const ASK_AGAIN_MS = 60_000;
/** A caller's answer waits no longer than this for a place in the queue, or for a canceled job to be settled. */
const PLACE_WITHIN_MS = 250;
const SETTLED_WITHIN_MS = 2_000;

/** A job that was claimed here. */
interface ClaimedJob {
	record: JobRecord;
	life: JobStore;
	drive: JobRunner;
}

export class Job extends DurableObject<Env> {
	// Own properties are out of reach of RPC; tests replace and read them.
	clock = (): number => Date.now();
	random = (): number => Math.random();
	backend = (model: string, { url }: Lease): Backend => {
		const served = config(this.env).models.get(model);
		const address = served?.workers.find((worker) => worker.url === url);
		return address ? backendAt(address) : unknownWorker;
	};
	longestAttempt = LONGEST_ATTEMPT_MS;

	readonly #means: JobContext;
	#job: ClaimedJob | null = null;
	/** No job is or will be here. */
	#tombstone: Tombstone | null = null;

	constructor(ctx: DurableObjectState, env: Env) {
		super(ctx, env);
		const store = new ObjectStorage(ctx, {
			object: "job",
			steps: STEPS,
			// Record and log change in memory inside the write.
			resetOnFailure: true,
		});
		const alarm = new Alarm(ctx.storage, () => this.clock());
		const kept = JobRecord.open(store);
		const shown = kept instanceof JobRecord ? kept.log.lastSeq : 0;
		this.#means = {
			ctx,
			env,
			store,
			alarm,
			calls: new Calls(env),
			readers: new Readers(ctx.getWebSockets(), shown),
			clock: () => this.clock(),
			random: () => this.random(),
			backend: (model, lease) => this.backend(model, lease),
			longest: () => this.longestAttempt,
		};
		if (kept instanceof JobRecord) {
			ctx.blockConcurrencyWhile(() => alarm.load());
			this.#job = this.#claimed(kept);
		} else this.#tombstone = kept;
	}

	/** Claims and starts the job. Repeating it changes nothing; after a tombstone it is refused. */
	async start(spec: JobSpec): Promise<Started> {
		if (this.#tombstone) return { ok: false, failure: { code: "job_gone" } };
		if (this.#job) return { ok: true, view: await this.#view(this.#job) };
		const { store, alarm } = this.#means;
		const now = this.clock();
		const record = store.create(() => {
			alarm.bringForward(now + BEGIN_MS);
			return JobRecord.claim(store.sql, spec, now);
		});
		this.#job = this.#claimed(record);
		const { life, drive } = this.#job;
		life.show();
		drive.advance();
		await nullAfter(PLACE_WITHIN_MS, drive.asking);
		return { ok: true, view: await viewOf(record, record.state.place) };
	}

	/** What became of the job, for the Account. A job that never started never will: that is the tombstone. */
	async resolve(): Promise<Resolution> {
		const outcome = this.#job
			? outcomeOf(this.#job.record)
			: this.#buried().outcome;
		if (outcome) return { answer: "finished", outcome };
		if (!this.#job) return { answer: "void" };
		this.#job.drive.advance();
		return { answer: "running", until: this.clock() + ASK_AGAIN_MS };
	}

	/** The public state, or null where no job was started, or it was erased. */
	async view(): Promise<JobView | null> {
		return this.#job && this.#view(this.#job);
	}

	/** As `view`, for a repeat of the call that made the job: it waits for that call's reader, unless it was canceled. */
	async repeated(): Promise<{ view: JobView; canceled: boolean } | null> {
		if (!this.#job) return null;
		const { life, record } = this.#job;
		life.change({ type: "repeated" });
		const view = await this.#view(this.#job);
		return { view, canceled: record.state.outcome === "canceled" };
	}

	/** The conversation up to now, or null where no job was started, or it was erased. */
	async transcript(): Promise<Transcript | null> {
		if (!this.#job) return null;
		const { spec, log } = this.#job.record;
		return { messages: spec.messages, answer: log.text };
	}

	/** Ends the job where it is: free if nothing was shown. One that ended stays as it is. @returns as `view` */
	async cancel(): Promise<JobView | null> {
		if (!this.#job) return null;
		const { record, drive } = this.#job;
		drive.end({ type: "cancel" });
		drive.advance();
		await nullAfter(SETTLED_WITHIN_MS, drive.done);
		return viewOf(record, null);
	}

	/** The log and all that was asked are gone, a tombstone stays. Repeating it changes nothing. */
	async erase(): Promise<Erased> {
		if (!this.#job) {
			this.#buried();
			return "erased";
		}
		const { record, drive } = this.#job;
		if (record.state.phase !== "finished") {
			drive.advance();
			return "running";
		}
		this.#tombstone = this.#means.store.write(() => record.erase());
		this.#job = null;
		this.#means.readers.closeAll();
		return "erased";
	}

	/** From the Pool: a slot is this job's. @returns whether the job has use for it */
	async granted(lease: Lease): Promise<boolean> {
		if (!this.#job) return false;
		const { record, life, drive } = this.#job;
		if (life.change({ type: "granted", lease })) drive.advance();
		return record.state.lease?.epoch === lease.epoch;
	}

	/** For the Pool: whether the lease of that epoch is this job's. One that should run and does not is started. */
	async holds(epoch: number): Promise<boolean> {
		if (!this.#job) return false;
		const { record, drive } = this.#job;
		const { phase, lease } = record.state;
		drive.advance();
		return phase === "running" && lease?.epoch === epoch;
	}

	/** A reader's socket, see `Readers.accept`; events flow once the reader says where it stands. */
	override async fetch(request: Request): Promise<Response> {
		if (!this.#job) return new Response(null, { status: 404 });
		const { record, life, drive } = this.#job;
		const ended = record.state.phase === "finished";
		const { readers } = this.#means;
		const answer = readers.accept(this.ctx, record.log, ended, request);
		if (answer.webSocket) life.change({ type: "watched" });
		drive.advance();
		return answer;
	}

	override webSocketMessage(socket: WebSocket, message: unknown): void {
		if (!this.#job) return;
		this.#means.readers.onMessage(socket, message, this.#job.record.log);
		this.#job.drive.advance();
	}

	override webSocketClose(
		socket: WebSocket,
		code: number,
		reason: string,
	): void {
		this.#left(socket, disconnectOf(code, reason));
	}

	override webSocketError(socket: WebSocket): void {
		this.#left(socket, { how: "lost" });
	}

	/** Fires all the while the job runs, which keeps the object in memory; starts what should run and does not. */
	override async alarm(): Promise<void> {
		this.#means.alarm.onFired();
		try {
			await this.#job?.drive.onAlarm();
		} catch (error) {
			log("alarm_failed", { object: "job", cause: String(error) });
		} finally {
			this.#job?.life.rearm();
		}
	}

	#claimed(record: JobRecord): ClaimedJob {
		const life = new JobStore(record, this.#means);
		return { record, life, drive: new JobRunner(life, this.#means) };
	}

	#buried(): Tombstone {
		const { store } = this.#means;
		this.#tombstone ??= store.create(() => JobRecord.bury(store.sql));
		return this.#tombstone;
	}

	#left(socket: WebSocket, leaving: Disconnect): void {
		const { readers } = this.#means;
		readers.remove(socket);
		if (!readers.any) this.#job?.life.change({ type: "left", ...leaving });
	}

	async #view({ record, drive }: ClaimedJob): Promise<JobView> {
		drive.advance();
		const place =
			record.state.phase === "waiting"
				? await nullAfter(PLACE_WITHIN_MS, this.#means.calls.place(record.spec))
				: null;
		return viewOf(record, place);
	}
}
