/**
 * One Durable Object per job. It claims the job, reads the backend's stream into an append-only
 * log, feeds readers from the log, and settles the job exactly once. What is in SQLite is enough to
 * survive restarts of itself, of its backend and of the Account.
 */
import { DurableObject } from "cloudflare:workers";
import { backendAt, unknownWorker } from "../backends/address.ts";
import type { Backend } from "../backends/backend.ts";
import type { Resolution } from "../contract/account.ts";
import type {
	Erased,
	JobSpec,
	JobView,
	RunFacts,
	Started,
	Transcript,
} from "../contract/job.ts";
import type { Lease } from "../contract/pool.ts";
import { Alarm } from "../durable/alarm.ts";
import { ObjectStorage } from "../durable/storage.ts";
import { config } from "../env.ts";
import { logLine } from "../log.ts";
import { type Disconnect, disconnectOf, Readers } from "../stream/readers.ts";
import { nullAfter } from "../time.ts";
import type { JobContext } from "./context.ts";
import { JobRecord, type Tombstone } from "./record.ts";
import { Rpcs } from "./rpcs.ts";
import { JobRunner } from "./runner.ts";
import { STEPS } from "./schema.ts";
import { JobStore } from "./store.ts";
import { messagesOf } from "./turns.ts";
import { outcomeOf, runFactsOf, viewOf } from "./view.ts";

/** A job whose object stops right after the claim begins after this time. */
const BEGIN_MS = 5_000;
/** The platform ends longer work. The next attempt continues from the log. */
const LONGEST_ATTEMPT_MS = 14 * 60_000;
/** How long the Account waits before it asks again about a job that still runs. */
const ASK_AGAIN_MS = 60_000;
/** A caller waits no longer than this for a place in the queue. */
const PLACE_WITHIN_MS = 250;
/** A caller waits no longer than this for a canceled job to be settled. */
const SETTLED_WITHIN_MS = 2_000;

interface ClaimedJob {
	record: JobRecord;
	store: JobStore;
	runner: JobRunner;
}

export class Job extends DurableObject<Env> {
	// RPC does not reach own properties; tests replace and read them.
	clock = (): number => Date.now();
	random = (): number => Math.random();
	backend = (model: string, { url }: Lease): Backend => {
		const served = config(this.env).models.get(model);
		const address = served?.workers.find((worker) => worker.url === url);
		return address ? backendAt(address) : unknownWorker;
	};
	longestAttempt = LONGEST_ATTEMPT_MS;

	readonly #context: JobContext;
	#job: ClaimedJob | null = null;
	/** Set where the job was erased, or can never start. */
	#tombstone: Tombstone | null = null;

	constructor(ctx: DurableObjectState, env: Env) {
		super(ctx, env);
		const storage = new ObjectStorage(ctx, {
			object: "job",
			steps: STEPS,
			// Record and log change in memory inside the write.
			resetOnFailure: true,
		});
		const alarm = new Alarm(ctx.storage, () => this.clock());
		const stored = JobRecord.open(storage);
		const shown = stored instanceof JobRecord ? stored.log.lastSeq : 0;
		this.#context = {
			ctx,
			env,
			storage,
			alarm,
			rpcs: new Rpcs(env),
			readers: new Readers(ctx.getWebSockets(), shown),
			clock: () => this.clock(),
			random: () => this.random(),
			backend: (model, lease) => this.backend(model, lease),
			longestAttempt: () => this.longestAttempt,
		};
		if (stored instanceof JobRecord) {
			ctx.blockConcurrencyWhile(() => alarm.load());
			this.#job = this.#claimed(stored);
		} else this.#tombstone = stored;
	}

	/**
	 * Claims and starts the job. A repeat changes nothing. A tombstone refuses the job.
	 */
	async start(spec: JobSpec): Promise<Started> {
		if (this.#tombstone) return { ok: false, failure: { code: "job_gone" } };
		if (this.#job) return { ok: true, view: await this.#view(this.#job) };
		const { storage, alarm } = this.#context;
		const now = this.clock();
		const record = storage.create(() => {
			alarm.bringForward(now + BEGIN_MS);
			return JobRecord.claim(storage.sql, spec, now);
		});
		this.#job = this.#claimed(record);
		const { store, runner } = this.#job;
		store.show();
		runner.advance();
		await nullAfter(PLACE_WITHIN_MS, runner.acquiring);
		return { ok: true, view: await viewOf(record, record.state.place) };
	}

	/**
	 * Tells the Account what became of the job. A job that has not started by now never will: it
	 * gets a tombstone.
	 */
	async resolve(): Promise<Resolution> {
		const outcome = this.#job
			? outcomeOf(this.#job.record)
			: this.#bury().outcome;
		if (outcome) return { status: "finished", outcome };
		if (!this.#job) return { status: "void" };
		this.#job.runner.advance();
		return { status: "running", until: this.clock() + ASK_AGAIN_MS };
	}

	/** The public state, or null where no job was started or it was erased. */
	async view(): Promise<JobView | null> {
		return this.#job && this.#view(this.#job);
	}

	/**
	 * As `view`, for a repeat of the call that created the job. A job that was about to be canceled
	 * for want of readers waits for the reader of that call.
	 */
	async repeated(): Promise<{ view: JobView; canceled: boolean } | null> {
		if (!this.#job) return null;
		const { store, record } = this.#job;
		store.change({ type: "call_repeated" });
		const view = await this.#view(this.#job);
		return { view, canceled: record.state.outcome === "canceled" };
	}

	/** What a receipt says, or null where no job was started or it was erased. */
	async receipt(): Promise<{ view: JobView; run: RunFacts } | null> {
		if (!this.#job) return null;
		const run = runFactsOf(this.#job.record);
		return { view: await this.#view(this.#job), run };
	}

	/** The conversation so far, or null where no job was started or it was erased. */
	async transcript(): Promise<Transcript | null> {
		if (!this.#job) return null;
		const { spec, log, turn, written } = this.#job.record;
		// A job that ended in its description has that for an answer.
		return { messages: messagesOf(spec, log, turn), answer: written.text };
	}

	/**
	 * Cancels the job, at no charge where no token was shown. A job that has ended stays as it is.
	 * @returns as `view`
	 */
	async cancel(): Promise<JobView | null> {
		if (!this.#job) return null;
		const { record, runner } = this.#job;
		runner.end({ type: "cancel" });
		runner.advance();
		await nullAfter(SETTLED_WITHIN_MS, runner.done);
		return viewOf(record, null);
	}

	/** Deletes log and request, and leaves a tombstone. A repeat changes nothing. */
	async erase(): Promise<Erased> {
		if (!this.#job) {
			this.#bury();
			return "erased";
		}
		const { record, runner } = this.#job;
		if (record.state.phase !== "finished") {
			runner.advance();
			return "running";
		}
		const { storage, readers } = this.#context;
		// A reader that is connected still gets the end of the log.
		await readers.published();
		if (!this.#job) return "erased";
		this.#tombstone = storage.write(() => record.erase());
		this.#job = null;
		readers.closeAll();
		return "erased";
	}

	/** From the Pool: the job has a slot. @returns whether the job uses it */
	async granted(lease: Lease): Promise<boolean> {
		if (!this.#job) return false;
		const { record, store, runner } = this.#job;
		if (store.change({ type: "granted", lease })) runner.advance();
		return record.state.lease?.epoch === lease.epoch;
	}

	/**
	 * For the Pool: whether the job has the lease of that epoch. A job that a restart interrupted
	 * continues.
	 */
	async hasLease(epoch: number): Promise<boolean> {
		if (!this.#job) return false;
		const { record, runner } = this.#job;
		const { phase, lease } = record.state;
		runner.advance();
		return phase === "running" && lease?.epoch === epoch;
	}

	/**
	 * Accepts a reader's socket, see `Readers.accept`. Events follow once the reader sends its
	 * cursor.
	 */
	override async fetch(request: Request): Promise<Response> {
		if (!this.#job) return new Response(null, { status: 404 });
		const { record, store, runner } = this.#job;
		const hasEnded = record.state.phase === "finished";
		const { readers } = this.#context;
		const response = readers.accept(this.ctx, record.log, hasEnded, request);
		if (response.webSocket) store.change({ type: "reader_joined" });
		runner.advance();
		return response;
	}

	override webSocketMessage(socket: WebSocket, message: unknown): void {
		if (!this.#job) return;
		const { record, runner } = this.#job;
		this.#context.readers.onMessage(socket, message, record.log);
		runner.advance();
	}

	override webSocketClose(
		socket: WebSocket,
		code: number,
		reason: string,
	): void {
		this.#disconnected(socket, disconnectOf(code, reason));
	}

	override webSocketError(socket: WebSocket): void {
		this.#disconnected(socket, { how: "lost" });
	}

	/** While the job runs, its alarm fires every ten seconds, which keeps the object in memory. */
	override async alarm(): Promise<void> {
		this.#context.alarm.onFired();
		try {
			await this.#job?.runner.onAlarm();
		} catch (error) {
			logLine("alarm_failed", { object: "job", cause: String(error) });
		} finally {
			this.#job?.store.rearm();
		}
	}

	#claimed(record: JobRecord): ClaimedJob {
		const store = new JobStore(record, this.#context);
		return { record, store, runner: new JobRunner(store, this.#context) };
	}

	#bury(): Tombstone {
		const { storage } = this.#context;
		this.#tombstone ??= storage.create(() => JobRecord.bury(storage.sql));
		return this.#tombstone;
	}

	#disconnected(socket: WebSocket, disconnect: Disconnect): void {
		const { readers } = this.#context;
		readers.remove(socket);
		if (!readers.hasAny)
			this.#job?.store.change({ type: "readers_left", ...disconnect });
	}

	async #view({ record, runner }: ClaimedJob): Promise<JobView> {
		runner.advance();
		const place =
			record.state.phase === "waiting"
				? await nullAfter(
						PLACE_WITHIN_MS,
						this.#context.rpcs.place(record.spec),
					)
				: null;
		return viewOf(record, place);
	}
}
