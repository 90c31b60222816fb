/**
 * The Pool, one object per model. It leases the slots of the model's workers to jobs and keeps the
 * others in a fair queue. A job in the queue does nothing: the Pool calls it when a slot is its
 * own. The Pool probes the workers while jobs are in the queue, and not otherwise.
 */
import { DurableObject } from "cloudflare:workers";
import { probe } from "../backends/address.ts";
import type {
	AttemptTimes,
	HeartbeatResult,
	Lease,
	Load,
	QueuePlace,
	ReleaseReason,
	SlotRequest,
	SlotResult,
} from "../contract/pool.ts";
import { Alarm } from "../durable/alarm.ts";
import { ObjectStorage } from "../durable/storage.ts";
import { config } from "../env.ts";
import { logLine } from "../log.ts";
import { jobByName } from "../objects.ts";
import { afterEnd, afterLoss, afterStart } from "./breaker.ts";
import { Estimator } from "./estimator.ts";
import {
	chooseWorker,
	freeSlots,
	isStale,
	needsProbe,
	PROBE_EVERY_MS,
	type Worker,
} from "./fleet.ts";
import { Leases, type TrackedLease } from "./leases.ts";
import { addMeasurement } from "./measurements.ts";
import { FairQueue } from "./queue.ts";
import { STEPS } from "./schema.ts";
import { loadOf, type PoolParts, snapshotOf } from "./snapshot.ts";
import { StartupTimer } from "./startup-timer.ts";
import { PoolStore, type QueuedJob, type StoredLease } from "./store.ts";
import { Traffic } from "./traffic.ts";
import { Workers } from "./workers.ts";

/** A lease ends this long after its last heartbeat. Jobs send one every 10 s. */
export const LEASE_MS = 35_000;

export class Pool extends DurableObject<Env> {
	// RPC does not reach own properties; tests and the simulation replace them.
	/** Milliseconds since 1970. */
	clock = (): number => Date.now();
	probe = probe;
	/** @returns whether the job has use for the slot */
	grantTo = async (job: string, lease: Lease): Promise<boolean> =>
		jobByName(this.env, job).granted(lease);
	/** @returns whether the job still has the lease of that epoch */
	hasLease = async (job: string, epoch: number): Promise<boolean> =>
		jobByName(this.env, job).hasLease(epoch);

	readonly #alarm: Alarm;
	readonly #store: PoolStore;
	/** Null until the first job. */
	#model: string | null;
	readonly #queue = new FairQueue<QueuedJob>();
	/** The place of the newest job in the queue. */
	#lastPlace = 0;
	/** Jobs in the queue whose `acquire` has not returned: they have no row yet, and need no call. */
	readonly #acquiring = new Set<string>();
	readonly #leases = new Leases();
	readonly #startedAt = this.clock();
	readonly #workers: Workers;
	readonly #traffic = new Traffic();
	readonly #startup = new StartupTimer();
	readonly #estimator: Estimator;

	constructor(ctx: DurableObjectState, env: Env) {
		super(ctx, env);
		const storage = new ObjectStorage(ctx, {
			object: "pool",
			steps: STEPS,
			// Queue and leases are in memory, which changes before it is written.
			resetOnFailure: true,
		});
		if (!storage.exists) storage.create(() => {});
		this.#alarm = new Alarm(ctx.storage, () => this.clock());
		this.#store = new PoolStore(storage);
		this.#model = this.#store.model;
		this.#estimator = new Estimator(
			this.#store.measurements,
			this.#traffic,
			(now) => snapshotOf(this.#parts(), now),
		);
		this.#workers = new Workers(this.#store.workerSlots(), {
			model: () => this.#model,
			addresses: () =>
				(this.#model && config(this.env).models.get(this.#model)?.workers) ||
				[],
			probe: (address) => this.probe(address),
			clock: () => this.clock(),
			onAnswer: (before, after) => this.#onWorkerAnswer(before, after),
		});
		for (const entry of this.#store.queuedJobs()) {
			this.#queue.enqueue(entry);
			this.#lastPlace = entry.place;
		}
		for (const lease of this.#store.leases()) {
			const older = this.#leases.get(lease.job);
			if (older) this.#store.deleteLease(older);
			this.#leases.add(lease, null);
		}
		if (this.#leases.size + this.#queue.size > 0)
			ctx.blockConcurrencyWhile(async () => {
				await this.#alarm.load();
				this.#arm();
			});
	}

	/** A slot for a job, or a place in the queue. A job that asks again keeps what it has. */
	async acquire(request: SlotRequest): Promise<SlotResult> {
		const { job } = request;
		this.#setModel(request.model);
		const had = this.#leases.get(job);
		if (had) {
			const worker = this.#workers.get(had.url);
			if (worker?.state === "unknown") await this.#workers.probe([worker]);
			had.heartbeatAt = this.clock();
			const unchanged = this.#leases.get(job) === had;
			// A lease on a worker that is away is worth nothing, but it was this job's turn.
			if (unchanged && this.#workers.get(had.url)?.state !== "ready")
				this.#endLease(had);
		}
		if (!this.#leases.get(job)) {
			const resumed = request.resumed || had !== null;
			await this.#enqueue({ ...request, resumed });
		}
		const lease = this.#leaseOf(job);
		if (lease) return { status: "granted", lease };
		const entry = this.#queue.get(job);
		if (!entry) throw new Error("the job left while it asked for a slot");
		const now = this.clock();
		const { eta, rawP90 } = this.#estimator.quote(entry, this.#queue, now);
		if (this.#acquiring.delete(job)) {
			entry.queuedAt = now;
			entry.rawP90 = entry.resumed ? null : rawP90;
			this.#store.insertQueued(entry);
		}
		const ready = this.#workers.all().some(({ state }) => state === "ready");
		const position = this.#queue.position(job);
		return { status: ready ? "queued" : "provisioning", position, eta };
	}

	/** Where a job is in the queue; null where it is not in it. */
	async place(job: string): Promise<QueuePlace | null> {
		const entry = this.#queue.get(job);
		if (!entry) return null;
		const now = this.clock();
		const { eta } = this.#estimator.quote(entry, this.#queue, now);
		return { position: this.#queue.position(job), eta };
	}

	/** Keeps a lease. Writes nothing. */
	async heartbeat(job: string, epoch: number): Promise<HeartbeatResult> {
		const lease = this.#leases.find(job, epoch);
		if (lease) lease.heartbeatAt = this.clock();
		return { leased: lease !== null, running: this.#leases.size };
	}

	/** Gives a slot back; the next job in the queue gets it. Repeating it changes nothing. */
	async release(
		job: string,
		epoch: number,
		why: ReleaseReason,
		times: AttemptTimes | null,
	): Promise<void> {
		const lease = this.#leases.find(job, epoch);
		if (!lease) return;
		const now = this.clock();
		const worker = this.#workers.get(lease.url);
		if (worker) {
			this.#workers.set({
				...worker,
				breaker: afterEnd(worker.breaker, job, why === "finished", now),
				// After a failure the worker must be probed before another of its slots is granted.
				answeredAt: why === "finished" ? now : 0,
				state: why === "down" ? "away" : worker.state,
			});
			if (why !== "finished") this.#estimator.invalidate();
		}
		this.#endLease(lease);
		if (why === "finished" && times && !lease.resumed) {
			const { tokens: budget } = lease;
			this.#store.addMeasurement("services", { ...times, budget });
		}
		this.#dispatch();
		if (worker && why !== "finished" && this.#queue.size > 0)
			this.ctx.waitUntil(this.#workers.probe([worker]));
	}

	/** Takes a job out of the queue, or its lease back. Repeating it changes nothing. */
	async leave(job: string): Promise<void> {
		const entry = this.#queue.remove(job);
		if (entry && !this.#acquiring.delete(job)) this.#store.deleteQueued(entry);
		const lease = this.#leases.get(job);
		if (lease) this.#endLease(lease);
		this.#dispatch();
	}

	/** How busy the pool is, for operators. Probes the workers whose last answer is old. */
	async load(model: string): Promise<Load> {
		this.#setModel(model);
		const now = this.clock();
		await this.#workers.probe(
			this.#workers.all().filter((worker) => needsProbe(worker, now)),
		);
		const budgets = Array.from(this.#queue.jobs(), ({ tokens }) => tokens);
		return loadOf(this.#parts(), this.#estimator.work(budgets));
	}

	override async alarm(): Promise<void> {
		this.#alarm.onFired();
		try {
			await this.#checkSilentLeases();
			const now = this.clock();
			for (const lease of this.#leases.all())
				if (lease.heartbeatAt !== null && now - lease.heartbeatAt >= LEASE_MS)
					this.#expire(lease);
			if (this.#queue.size > 0)
				await this.#workers.probe(
					this.#workers
						.all()
						.filter(
							(worker) => worker.state !== "ready" || needsProbe(worker, now),
						),
				);
			this.#dispatch();
		} catch (error) {
			logLine("alarm_failed", { object: "pool", cause: String(error) });
		} finally {
			this.#arm();
		}
	}

	/**
	 * Asks each job that this instance has no heartbeat of whether it still runs. Heartbeats are in
	 * memory only, and the platform puts a pool that nobody calls to sleep between its alarms:
	 * without the question each instance would wait anew for a job that is dead.
	 */
	async #checkSilentLeases(): Promise<void> {
		const silent = this.#leases
			.all()
			.filter(({ heartbeatAt }) => heartbeatAt === null);
		await Promise.all(
			silent.map(async (lease) => {
				const { job, epoch } = lease;
				const hasLease = await this.hasLease(job, epoch).catch(() => false);
				if (lease.heartbeatAt !== null || this.#leases.get(job) !== lease)
					return;
				if (hasLease) lease.heartbeatAt = this.clock();
				else this.#expire(lease);
			}),
		);
	}

	#expire(lease: StoredLease): void {
		logLine("lease_expired", { model: this.#model, job: lease.job });
		this.#endLease(lease);
	}

	#onWorkerAnswer(before: Worker, after: Worker): void {
		const { url, slots } = after;
		if (slots !== before.slots) this.#store.saveWorkerSlots(url, slots);
		if (after.state !== before.state || slots !== before.slots)
			this.#estimator.invalidate();
		this.#dispatch();
	}

	/** Puts a job into the queue, and takes it out at once where a slot is free. */
	async #enqueue(request: SlotRequest): Promise<void> {
		const { job, account, resumed, avoid } = request;
		const now = this.clock();
		if (!this.#queue.get(job)) {
			this.#lastPlace++;
			this.#traffic.record(account, now);
			this.#acquiring.add(job);
			this.#queue.enqueue({
				place: this.#lastPlace,
				job,
				account,
				resumed,
				avoid,
				tokens: Math.max(1, request.tokens),
				queuedAt: now,
				rawP90: null,
			});
		}
		this.#dispatch();
		if (!this.#queue.get(job)) return;
		// While a worker is ready, the alarm probes those that are not.
		const due = this.#workers.anyReady() ? isStale : needsProbe;
		await this.#workers.probeUntilReady(
			this.#workers.all().filter((worker) => due(worker, now)),
		);
	}

	/** What follows each change: grants free slots, measures how workers start, sets the alarm. */
	#dispatch(): void {
		const now = this.clock();
		// Nobody waits for the jobs' answers.
		for (const lease of this.#grant(now))
			this.ctx.waitUntil(this.#callJob(lease));
		this.#observeStartup(now);
		this.#arm();
	}

	#observeStartup(now: number): void {
		const workers = this.#workers.all();
		if (workers.some(({ state }) => state === "unknown")) return;
		const { cold, joined } = this.#startup.observe(
			workers.map(({ url, state }) => ({ url, ready: state === "ready" })),
			this.#queue.size > 0,
			now,
		);
		if (cold !== null) this.#store.addMeasurement("colds", cold);
		for (const start of joined)
			addMeasurement(this.#store.measurements, "joins", start);
	}

	/**
	 * Moves jobs from the queue to free slots.
	 * @returns the leases of those whose `acquire` has returned
	 */
	#grant(now: number): StoredLease[] {
		if (this.#queue.size === 0) return [];
		const running = this.#leases.byWorker();
		const granted: StoredLease[] = [];
		for (;;) {
			const candidates = this.#workers.all().map((worker) => ({
				worker,
				free: freeSlots(worker, running.get(worker.url) ?? 0, now),
			}));
			const next = candidates.some(({ free }) => free > 0)
				? this.#queue.dequeue(
						({ avoid }) => chooseWorker(candidates, avoid) !== null,
					)
				: null;
			const worker = next && chooseWorker(candidates, next.avoid);
			if (!next || !worker) return granted;
			const { url } = worker;
			running.set(url, (running.get(url) ?? 0) + 1);
			const lease = this.#lease(next, worker, now);
			if (!this.#acquiring.delete(next.job)) granted.push(lease);
		}
	}

	#lease(entry: QueuedJob, worker: Worker, now: number): StoredLease {
		const { job, account, resumed, tokens, rawP90, queuedAt } = entry;
		const { url, breaker } = worker;
		this.#workers.set({ ...worker, breaker: afterStart(breaker, job) });
		const epoch = this.#store.newEpoch();
		const lease = { epoch, job, account, url, resumed, tokens, grantedAt: now };
		this.#leases.add(lease, now);
		this.#store.insertLease(lease, this.#acquiring.has(job) ? null : entry);
		this.#estimator.granted(rawP90, now - queuedAt, now);
		return lease;
	}

	/** Tells a job from the queue that a slot is its own. */
	async #callJob({ job, epoch }: StoredLease): Promise<void> {
		const lease = this.#leaseOf(job);
		if (!lease) return;
		try {
			if (await this.grantTo(job, lease)) return;
			const refused = this.#leases.find(job, epoch);
			if (refused) this.#endLease(refused);
			this.#dispatch();
		} catch (error) {
			logLine("grant_failed", { job, cause: String(error) });
			const unanswered = this.#leases.find(job, epoch);
			// Until the alarm no slot is granted: a job that cannot be reached must neither hold up the
			// others nor be called in a loop.
			if (unanswered) this.#requeue(unanswered);
			this.#arm();
		}
	}

	/** Queues a job again, last, after its slot could not be used. */
	#requeue(lease: StoredLease): void {
		this.#endLease(lease);
		const { job, account, tokens } = lease;
		this.#lastPlace++;
		const entry: QueuedJob = {
			place: this.#lastPlace,
			job,
			account,
			tokens,
			resumed: false,
			avoid: null,
			rawP90: null,
			queuedAt: this.clock(),
		};
		this.#queue.enqueue(entry);
		this.#store.insertQueued(entry);
	}

	#endLease(lease: StoredLease): void {
		this.#leases.remove(lease);
		this.#store.deleteLease(lease);
		const worker = this.#workers.get(lease.url);
		if (!worker) return;
		const breaker = afterLoss(worker.breaker, lease.job);
		this.#workers.set({ ...worker, breaker });
	}

	#setModel(model: string): void {
		if (this.#model) return;
		this.#model = model;
		this.#store.saveModel(model);
	}

	/** A job's lease as the job gets it; null where it has none, or its worker was removed. */
	#leaseOf(job: string): Lease | null {
		const lease: TrackedLease | null = this.#leases.get(job);
		const worker = lease && this.#workers.get(lease.url);
		if (!lease || !worker) return null;
		const { url, digest } = worker;
		return { epoch: lease.epoch, url, digest, running: this.#leases.size };
	}

	#parts(): PoolParts {
		return {
			workers: this.#workers.all(),
			leases: this.#leases,
			queue: this.#queue,
			startup: this.#startup,
			traffic: this.#traffic,
		};
	}

	/** Sets the alarm: to probe workers for jobs in the queue, to end leases without heartbeats. */
	#arm(): void {
		const now = this.clock();
		const times = this.#leases
			.all()
			.map(({ heartbeatAt }) => (heartbeatAt ?? this.#startedAt) + LEASE_MS);
		if (this.#queue.size > 0) times.push(now + PROBE_EVERY_MS);
		if (times.length > 0) this.#alarm.bringForward(Math.min(...times));
	}
}
