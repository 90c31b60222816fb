/**
 * One object per model: leases on the slots of its workers, and a fair queue for the jobs that found none free. Jobs wait passively
 * and are called when granted; the workers are asked only while somebody waits.
 */

import { DurableObject } from "cloudflare:workers";
import { probe } from "../backends/address.ts";
import type {
	AttemptTimes,
	HeartbeatAnswer,
	Lease,
	Load,
	QueuePlace,
	ReleaseReason,
	SlotAnswer,
	SlotRequest,
	WorkerLoad,
} from "../contract/pool.ts";
import { Alarm } from "../durable/alarm.ts";
import { ObjectStorage } from "../durable/storage.ts";
import { config } from "../env.ts";
import { log } from "../log.ts";
import { jobByName } from "../objects.ts";
import { abandoned, ended, started } from "./breaker.ts";
import { Estimator } from "./estimator.ts";
import { type PoolSnapshot, STARTS } from "./eta.ts";
import {
	ASK_EVERY_MS,
	choose,
	isDue,
	isStale,
	openSlots,
	takesJobs,
	type Worker,
} from "./fleet.ts";
import { remember } from "./measured.ts";
import { FairQueue } from "./queue.ts";
import { Ramp } from "./ramp.ts";
import { STEPS } from "./schema.ts";
import { PoolStore, type QueuedJob, type StoredLease } from "./store.ts";
import { Traffic } from "./traffic.ts";
import { Workers } from "./workers.ts";

/** A lease ends this long after its last heartbeat: a dead job frees its slot. Jobs send one every 10 s. */
export const LEASE_MS = 35_000;
/** Measurements are written so many at a time; what is lost in between is measured again. */
const SAVED_TOGETHER = 16;

/** A lease, and when this instance last heard of its job; null where it never did. */
type TrackedLease = StoredLease & { heardAt: number | null };

export class Pool extends DurableObject<Env> {
	// Own properties are out of reach of RPC; tests and the simulation replace them.
	/** Milliseconds since 1970. */
	clock = (): number => Date.now();
	probe = probe;
	/** @returns whether the job has use for the slot */
	grantTo = async (job: string, lease: Lease): Promise<boolean> =>
		jobByName(this.env, job).granted(lease);
	/** @returns whether the job still has the lease of that epoch */
	holdsStill = async (job: string, epoch: number): Promise<boolean> =>
		jobByName(this.env, job).holds(epoch);

	readonly #storage: ObjectStorage;
	readonly #alarm: Alarm;
	readonly #store: PoolStore;
	/** Known from the first job on. */
	#model: string | null;
	readonly #queue = new FairQueue<QueuedJob>();
	/** Of the newest job in the queue. */
	#place = 0;
	/** Jobs whose `acquire` is not answered yet: in no row, and not to be called. */
	readonly #asking = new Set<string>();
	readonly #held = new Map<string, TrackedLease>();
	readonly #startedAt = this.clock();
	readonly #workers: Workers;
	readonly #traffic = new Traffic();
	readonly #ramp = new Ramp();
	readonly #outlook: Estimator;
	#unsaved = 0;

	constructor(ctx: DurableObjectState, env: Env) {
		super(ctx, env);
		this.#storage = new ObjectStorage(ctx, {
			object: "pool",
			steps: STEPS,
			// Queue and leases are in memory, which changes before it is written.
			resetOnFailure: true,
		});
		if (!this.#storage.exists) this.#storage.create(() => {});
		this.#alarm = new Alarm(ctx.storage, () => this.clock());
		this.#store = new PoolStore(this.#storage.sql);
		this.#outlook = new Estimator(this.#store.kept, this.#traffic, (now) =>
			this.#view(now),
		);
		this.#workers = new Workers(this.#store.slots(), {
			model: () => this.#model,
			addresses: () =>
				(this.#model && config(this.env).models.get(this.#model)?.workers) ||
				[],
			probe: (address) => this.probe(address),
			clock: () => this.clock(),
			onAnswer: (before, now) => this.#heard(before, now),
		});
		this.#model = this.#store.model;
		for (const waiter of this.#store.waiting()) {
			this.#queue.push(waiter);
			this.#place = waiter.place;
		}
		for (const held of this.#store.held()) {
			const older = this.#held.get(held.job);
			if (older) this.#store.free(older);
			this.#held.set(held.job, { ...held, heardAt: null });
		}
		if (this.#held.size + this.#queue.size > 0)
			ctx.blockConcurrencyWhile(async () => {
				await this.#alarm.load();
				this.#arm();
			});
	}

	/** A slot for a job of this pool's model, or a place in the queue. Asked again, a job keeps what it has. */
	async acquire(ask: SlotRequest): Promise<SlotAnswer> {
		const { job } = ask;
		this.#learn(ask.model);
		const held = this.#held.get(job);
		if (held) {
			const worker = this.#workerOf(held);
			if (worker?.state === "unknown") await this.#workers.ask([worker]);
			held.heardAt = this.clock();
			// A lease on a worker that is away is worth nothing, but it was this job's turn.
			const still = this.#held.get(job) === held;
			if (still && this.#workerOf(held)?.state !== "ready") this.#end(held);
		}
		if (!this.#held.has(job))
			await this.#enqueue({ ...ask, resumed: ask.resumed || Boolean(held) });
		const lease = this.#leaseOf(job);
		const waiter = this.#queue.get(job);
		if (lease) return { answer: "granted", lease };
		if (!waiter) throw new Error("the job left while it asked");
		const now = this.clock();
		const { eta, rawP90 } = this.#outlook.quote(waiter, this.#queue, now);
		if (this.#asking.delete(job)) {
			waiter.queuedAt = now;
			waiter.rawP90 = waiter.resumed ? null : rawP90;
			this.#storage.write(() => this.#store.wait(waiter));
		}
		const up = this.#workers.all().some(({ state }) => state === "ready");
		const position = this.#queue.position(job);
		return { answer: up ? "queued" : "provisioning", position, eta };
	}

	/** Where a job stands in the queue, or null where it does not wait. */
	async place(job: string): Promise<QueuePlace | null> {
		const waiter = this.#queue.get(job);
		if (!waiter) return null;
		const now = this.clock();
		const { eta } = this.#outlook.quote(waiter, this.#queue, now);
		return { position: this.#queue.position(job), eta };
	}

	/** Keeps a lease. Writes nothing. */
	async heartbeat(job: string, epoch: number): Promise<HeartbeatAnswer> {
		const held = this.#heldBy(job, epoch);
		if (held) held.heardAt = this.clock();
		return { held: held !== null, running: this.#held.size };
	}

	/** Gives a slot back; whoever waits gets it. Repeating it changes nothing. */
	async release(
		job: string,
		epoch: number,
		why: ReleaseReason,
		measured: AttemptTimes | null,
	): Promise<void> {
		const held = this.#heldBy(job, epoch);
		if (!held) return;
		const now = this.clock();
		const worker = this.#workerOf(held);
		if (worker) {
			this.#workers.set({
				...worker,
				breaker: ended(worker.breaker, job, why === "finished", now),
				// After a failure it must be asked before another slot of it is promised.
				heardAt: why === "finished" ? now : 0,
				state: why === "down" ? "away" : worker.state,
			});
			if (why !== "finished") this.#outlook.changed();
		}
		this.#end(held);
		if (why === "finished" && measured && !held.resumed) {
			const { tokens: budget } = held;
			remember(this.#store.kept, "services", { ...measured, budget });
			this.#measured();
		}
		this.#settle();
		if (worker && why !== "finished" && this.#queue.size > 0)
			this.ctx.waitUntil(this.#workers.ask([worker]));
	}

	/** Takes a job out of the queue, or its lease back. Repeating it changes nothing. */
	async leave(job: string): Promise<void> {
		const waiter = this.#queue.remove(job);
		if (waiter && !this.#asking.delete(job))
			this.#storage.write(() => this.#store.waitNoMore(waiter));
		const held = this.#held.get(job);
		if (held) this.#end(held);
		this.#settle();
	}

	/** How busy the pool is, for operators and their autoscaler. Asks the workers that it has not heard of for a while. */
	async load(model: string): Promise<Load> {
		this.#learn(model);
		const now = this.clock();
		const due = this.#workers.all().filter((worker) => isDue(worker, now));
		await this.#workers.ask(due);
		const running = this.#running();
		const workers = this.#workers.all().map((worker): WorkerLoad => {
			const { url, state, slots, breaker } = worker;
			return {
				origin: new URL(url).origin,
				state:
					state === "ready" && breaker.openUntil !== null ? "broken" : state,
				slots: takesJobs(worker) ? slots : 0,
				running: running.get(url) ?? 0,
			};
		});
		const slots = workers.reduce((sum, worker) => sum + worker.slots, 0);
		const budgets = Array.from(this.#queue.all(), ({ tokens }) => tokens);
		const queuedMs = this.#outlook.work(budgets);
		return {
			running: this.#held.size,
			waiting: this.#queue.size,
			ready_slots: slots,
			queued_seconds_per_slot: queuedMs / 1000 / Math.max(1, slots),
			workers,
		};
	}

	override async alarm(): Promise<void> {
		this.#alarm.onFired();
		try {
			await this.#askUnheard();
			const now = this.clock();
			for (const held of this.#held.values())
				if (held.heardAt !== null && now - held.heardAt >= LEASE_MS)
					this.#expire(held);
			if (this.#queue.size > 0)
				await this.#workers.ask(
					this.#workers
						.all()
						.filter((worker) => worker.state !== "ready" || isDue(worker, now)),
				);
			this.#settle();
		} catch (error) {
			log("alarm_failed", { object: "pool", cause: String(error) });
		} finally {
			this.#arm();
		}
	}

	/**
	 * Heartbeats are in memory alone, and a pool that nobody calls is put to sleep between its alarms: what a fresh instance
	 * has not heard of, it asks after. Otherwise each would wait anew for a job that is dead.
	 */
	async #askUnheard(): Promise<void> {
		const unheard = [...this.#held.values()].filter(
			({ heardAt }) => heardAt === null,
		);
		await Promise.all(
			unheard.map(async (held) => {
				const holds = await this.holdsStill(held.job, held.epoch).catch(
					() => false,
				);
				if (held.heardAt !== null || this.#held.get(held.job) !== held) return;
				if (holds) held.heardAt = this.clock();
				else this.#expire(held);
			}),
		);
	}

	#expire(held: StoredLease): void {
		log("lease_expired", { model: this.#model, job: held.job });
		this.#end(held);
	}

	/** A worker answered. */
	#heard(before: Worker, now: Worker): void {
		if (now.slots !== before.slots)
			this.#storage.write(() => this.#store.saveSlots(now.url, now.slots));
		if (now.state !== before.state || now.slots !== before.slots)
			this.#outlook.changed();
		this.#settle();
	}

	/** Into the queue, and out of it at once where a slot is free. */
	async #enqueue(ask: SlotRequest): Promise<void> {
		const { job, account, resumed, avoid } = ask;
		const now = this.clock();
		if (!this.#queue.get(job)) {
			this.#place++;
			this.#traffic.note(account, now);
			this.#asking.add(job);
			this.#queue.push({
				...{ place: this.#place, job, account, resumed, avoid },
				tokens: Math.max(1, ask.tokens),
				queuedAt: now,
				rawP90: null,
			});
		}
		this.#settle();
		if (!this.#queue.get(job)) return;
		// While somebody is up, those that were away are asked by the alarm.
		const up = this.#workers.up();
		await this.#workers.askForOne(
			this.#workers
				.all()
				.filter((worker) => (up ? isStale(worker, now) : isDue(worker, now))),
		);
	}

	/** After any change: free slots to those who wait, and what follows from it. */
	#settle(): void {
		const now = this.clock();
		this.#announce(this.#grant(now));
		const fleet = this.#workers.all();
		if (fleet.every(({ state }) => state !== "unknown")) {
			const seen = fleet.map(({ url, state }) => ({
				url,
				ready: state === "ready",
			}));
			const observed = this.#ramp.observe(seen, this.#queue.size > 0, now);
			if (observed.cold !== null) {
				remember(this.#store.kept, "colds", observed.cold);
				this.#measured();
			}
			for (const joined of observed.joined)
				remember(this.#store.kept, "joins", joined);
		}
		this.#arm();
	}

	/** Moves jobs from the queue to free slots. @returns those to call */
	#grant(now: number): StoredLease[] {
		if (this.#queue.size === 0) return [];
		const running = this.#running();
		const called: StoredLease[] = [];
		for (;;) {
			const spots = this.#workers.all().map((worker) => ({
				worker,
				open: openSlots(worker, running.get(worker.url) ?? 0, now),
			}));
			const next = spots.some((spot) => spot.open > 0)
				? this.#queue.take(({ avoid }) => choose(spots, avoid) !== null)
				: null;
			const worker = next && choose(spots, next.avoid);
			if (!next || !worker) return called;
			const { url } = worker;
			running.set(url, (running.get(url) ?? 0) + 1);
			const held = this.#hold(next, worker, now);
			if (!this.#asking.delete(next.job)) called.push(held);
		}
	}

	#hold(waiter: QueuedJob, worker: Worker, now: number): StoredLease {
		const { job, account, resumed, tokens, rawP90, queuedAt } = waiter;
		const { url, breaker } = worker;
		this.#workers.set({ ...worker, breaker: started(breaker, job) });
		const epoch = this.#store.newEpoch();
		const held = { epoch, job, account, url, resumed, tokens, grantedAt: now };
		this.#held.set(job, { ...held, heardAt: now });
		this.#storage.write(() => {
			if (!this.#asking.has(job)) this.#store.waitNoMore(waiter);
			this.#store.hold(held);
		});
		this.#outlook.granted(rawP90, now - queuedAt, now);
		return held;
	}

	/** Calls the jobs that were granted a slot while they waited. Nobody waits for their answers. */
	#announce(granted: StoredLease[]): void {
		for (const held of granted) this.ctx.waitUntil(this.#call(held));
	}

	async #call(held: StoredLease): Promise<void> {
		const { job, epoch } = held;
		const lease = this.#leaseOf(job);
		if (!lease) return;
		try {
			if (await this.grantTo(job, lease)) return;
			const still = this.#heldBy(job, epoch);
			if (still) this.#end(still);
			this.#settle();
		} catch (error) {
			// To the end of the queue, until the alarm: a job that cannot be reached must neither hold up the others nor spin.
			log("grant_failed", { job, cause: String(error) });
			const still = this.#heldBy(job, epoch);
			if (still) this.#again(still);
			this.#arm();
		}
	}

	#again(held: StoredLease): void {
		this.#end(held);
		const { job, account, tokens } = held;
		this.#place++;
		const waiter: QueuedJob = {
			...{ place: this.#place, job, account, tokens },
			...{ resumed: false, avoid: null, rawP90: null },
			queuedAt: this.clock(),
		};
		this.#queue.push(waiter);
		this.#storage.write(() => this.#store.wait(waiter));
	}

	/** Ends a lease. A newer one of the same job stays. */
	#end(held: StoredLease): void {
		if (this.#held.get(held.job)?.epoch === held.epoch)
			this.#held.delete(held.job);
		this.#storage.write(() => this.#store.free(held));
		const worker = this.#workerOf(held);
		if (worker)
			this.#workers.set({
				...worker,
				breaker: abandoned(worker.breaker, held.job),
			});
	}

	#view(now: number): PoolSnapshot {
		const fleet = this.#workers.all();
		const cold = fleet.every(({ state }) => state !== "ready");
		const broken = fleet.filter(
			(worker) => worker.state === "ready" && !takesJobs(worker),
		);
		return {
			ready: fleet.filter(takesJobs).map(({ url, slots }) => ({
				slots,
				leases: [...this.#held.values()]
					.filter((held) => held.url === url)
					.map(({ grantedAt, tokens }) => ({
						ageMs: now - grantedAt,
						tokens,
					})),
			})),
			absent: fleet
				.filter(({ state }) => state !== "ready")
				.map(({ url, slots }) => ({
					slots,
					ageMs: now - (this.#ramp.since(url) ?? now),
				})),
			back: broken.map(({ slots, breaker }) => ({
				slots,
				inMs: Math.max(0, (breaker.openUntil ?? now) - now),
			})),
			coldMs: cold ? now - (this.#ramp.coldSince ?? now) : null,
			waiting: this.#queue.order(STARTS).map(({ tokens }) => tokens),
			arrivals: (count, next) => this.#traffic.futures(count, now, next),
		};
	}

	#learn(model: string): void {
		if (this.#model) return;
		this.#model = model;
		this.#storage.write(() => this.#store.learn(model));
	}

	#workerOf({ url }: StoredLease): Worker | null {
		return this.#workers.get(url);
	}

	#heldBy(job: string, epoch: number): TrackedLease | null {
		const held = this.#held.get(job);
		return held?.epoch === epoch ? held : null;
	}

	/** Slots taken of each worker. */
	#running(): Map<string, number> {
		const running = new Map<string, number>();
		for (const held of this.#held.values()) {
			const url = this.#workerOf(held)?.url ?? "";
			running.set(url, (running.get(url) ?? 0) + 1);
		}
		return running;
	}

	#leaseOf(job: string): Lease | null {
		const held = this.#held.get(job);
		const worker = held && this.#workerOf(held);
		if (!held || !worker) return null;
		const { url, digest } = worker;
		return { epoch: held.epoch, url, digest, running: this.#held.size };
	}

	/** Something was measured. */
	#measured(): void {
		this.#unsaved++;
		if (this.#unsaved < SAVED_TOGETHER) return;
		this.#unsaved = 0;
		this.#storage.write(() => this.#store.saveMeasured());
	}

	/** Sets the alarm: to ask workers while somebody waits, to end leases without heartbeats. */
	#arm(): void {
		const now = this.clock();
		let next = this.#queue.size > 0 ? now + ASK_EVERY_MS : null;
		for (const { heardAt } of this.#held.values())
			next = Math.min(
				next ?? Number.POSITIVE_INFINITY,
				(heardAt ?? this.#startedAt) + LEASE_MS,
			);
		if (next !== null) this.#alarm.bringForward(next);
	}
}
