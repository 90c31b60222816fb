/** A pool's leases in memory, with the heartbeats that its rows do not have. */
import type { StoredLease } from "./store.ts";

export interface TrackedLease extends StoredLease {
	/** The last sign of life of its job; null where this instance of the pool had none yet. */
	heartbeatAt: number | null;
}

export class Leases {
	readonly #byJob = new Map<string, TrackedLease>();

	get size(): number {
		return this.#byJob.size;
	}

	get(job: string): TrackedLease | null {
		return this.#byJob.get(job) ?? null;
	}

	/** A job's lease, if it is still that of the epoch. */
	find(job: string, epoch: number): TrackedLease | null {
		const lease = this.get(job);
		return lease?.epoch === epoch ? lease : null;
	}

	all(): TrackedLease[] {
		return [...this.#byJob.values()];
	}

	add(lease: StoredLease, heartbeatAt: number | null): void {
		this.#byJob.set(lease.job, { ...lease, heartbeatAt });
	}

	/** A newer lease of the same job stays. */
	remove({ job, epoch }: StoredLease): void {
		if (this.find(job, epoch)) this.#byJob.delete(job);
	}

	/** Slots taken on each worker, by its URL. */
	byWorker(): Map<string, number> {
		const taken = new Map<string, number>();
		for (const { url } of this.#byJob.values())
			taken.set(url, (taken.get(url) ?? 0) + 1);
		return taken;
	}
}
