/**
 * Measures how long workers take to become ready while jobs wait: the first of all, and each by
 * itself.
 */
import type { WorkerStart } from "./measurements.ts";

/** A wait that ends before this says nothing about whether the worker would have become ready. */
const SHORTEST_MS = 5_000;

export interface Observed {
	/** After how many milliseconds the first worker was ready; null where none just became so. */
	cold: number | null;
	joined: WorkerStart[];
}

export class StartupTimer {
	#coldSince: number | null = null;
	readonly #awaitedSince = new Map<string, number>();

	/** Since when jobs have waited for a first worker; null where one is ready, or nobody waits. */
	get coldSince(): number | null {
		return this.#coldSince;
	}

	/**
	 * Since when jobs have waited while this worker was not ready; null where it is, or nobody waits.
	 */
	awaitedSince(url: string): number | null {
		return this.#awaitedSince.get(url) ?? null;
	}

	/** To be called after each change of a worker's readiness, or of whether jobs wait. */
	observe(
		workers: readonly { url: string; ready: boolean }[],
		waiting: boolean,
		now: number,
	): Observed {
		const observed: Observed = { cold: null, joined: [] };
		const ready = workers.some((worker) => worker.ready);
		if (waiting && !ready) this.#coldSince ??= now;
		else {
			if (ready && this.#coldSince !== null)
				observed.cold = now - this.#coldSince;
			this.#coldSince = null;
		}
		for (const { url, ready } of workers) {
			const since = this.#awaitedSince.get(url);
			if (waiting && !ready) {
				if (since === undefined) this.#awaitedSince.set(url, now);
				continue;
			}
			if (since === undefined) continue;
			this.#awaitedSince.delete(url);
			const ms = now - since;
			if (ready || ms >= SHORTEST_MS) observed.joined.push({ ms, came: ready });
		}
		return observed;
	}
}
