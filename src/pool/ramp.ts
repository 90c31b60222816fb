/** Times how long workers take to come while jobs wait: the first where none is ready, and each by itself. */
import type { Joined } from "./measured.ts";

/** A wait that ends before this says nothing of whether a worker would have come. */
const SHORTEST_MS = 5_000;

export interface Observed {
	/** The first worker came after this. */
	cold: number | null;
	joined: Joined[];
}

export class Ramp {
	#coldSince: number | null = null;
	readonly #since = new Map<string, number>();

	/** Since when jobs have waited for a first worker; null where one is ready, or nobody waits. */
	get coldSince(): number | null {
		return this.#coldSince;
	}

	/** Since when jobs have waited while this worker was not ready; null where it is, or nobody waits. */
	since(url: string): number | null {
		return this.#since.get(url) ?? null;
	}

	/** To be told after whatever changes one of these. */
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
			const since = this.#since.get(url);
			if (waiting && !ready) {
				if (since === undefined) this.#since.set(url, now);
				continue;
			}
			if (since === undefined) continue;
			this.#since.delete(url);
			const ms = now - since;
			if (ready || ms >= SHORTEST_MS) observed.joined.push({ ms, came: ready });
		}
		return observed;
	}
}
