/** What a pool shows of its present state: to its forecasts, and to operators. */
import type { Load, WorkerLoad } from "../contract/pool.ts";
import { type PoolSnapshot, STARTS } from "./eta.ts";
import { takesJobs, type Worker } from "./fleet.ts";
import type { Leases } from "./leases.ts";
import type { FairQueue } from "./queue.ts";
import type { StartupTimer } from "./startup-timer.ts";
import type { QueuedJob } from "./store.ts";
import type { Traffic } from "./traffic.ts";

export interface PoolParts {
	workers: readonly Worker[];
	leases: Leases;
	queue: FairQueue<QueuedJob>;
	startup: StartupTimer;
	traffic: Traffic;
}

export function snapshotOf(
	{ workers, leases, queue, startup, traffic }: PoolParts,
	now: number,
): PoolSnapshot {
	const noneReady = workers.every(({ state }) => state !== "ready");
	const broken = workers.filter(
		(worker) => worker.state === "ready" && !takesJobs(worker),
	);
	return {
		ready: workers.filter(takesJobs).map(({ url, slots }) => ({
			slots,
			leases: leases
				.all()
				.filter((lease) => lease.url === url)
				.map(({ grantedAt, tokens }) => ({ ageMs: now - grantedAt, tokens })),
		})),
		absent: workers
			.filter(({ state }) => state !== "ready")
			.map(({ url, slots }) => ({
				slots,
				ageMs: now - (startup.awaitedSince(url) ?? now),
			})),
		back: broken.map(({ slots, breaker }) => ({
			slots,
			inMs: Math.max(0, (breaker.openUntil ?? now) - now),
		})),
		coldMs: noneReady ? now - (startup.coldSince ?? now) : null,
		waiting: queue.order(STARTS).map(({ tokens }) => tokens),
		arrivals: (count, next) => traffic.futures(count, now, next),
	};
}

/** @param queuedMs the work in the queue: time on a slot, all jobs together */
export function loadOf(
	{ workers, leases, queue }: Pick<PoolParts, "workers" | "leases" | "queue">,
	queuedMs: number,
): Load {
	const running = leases.byWorker();
	const loads = workers.map((worker): WorkerLoad => {
		const { url, state, slots, breaker } = worker;
		const broken = state === "ready" && breaker.openUntil !== null;
		return {
			origin: new URL(url).origin,
			state: broken ? "broken" : state,
			slots: takesJobs(worker) ? slots : 0,
			running: running.get(url) ?? 0,
		};
	});
	const readySlots = loads.reduce((sum, { slots }) => sum + slots, 0);
	return {
		running: leases.size,
		waiting: queue.size,
		ready_slots: readySlots,
		queued_seconds_per_slot: queuedMs / 1000 / Math.max(1, readySlots),
		workers: loads,
	};
}
