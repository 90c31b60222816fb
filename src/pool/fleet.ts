/** What a pool knows of its workers, and which of them a job gets. Times are milliseconds since 1970. */
import type { Probed } from "../backends/worker.ts";
import type { WorkerLoad } from "../contract/pool.ts";
import { admits, type Breaker, closed } from "./breaker.ts";

/** Between questions to a worker that is not ready, while somebody waits. */
export const ASK_EVERY_MS = 1_000;
/** A busy worker may begin to drain: while somebody waits it is asked this often. */
const ASK_READY_EVERY_MS = 5_000;
/** A worker heard of as ready within this time is taken to be ready still. */
const TRUST_MS = 30_000;

export interface Worker {
	url: string;
	/** By its last answer; what its circuit breaker says is apart. */
	state: Exclude<WorkerLoad["state"], "broken">;
	/** As last heard, also while it is away; 0 if never. */
	slots: number;
	digest: string;
	/** When it was last asked, or last heard of by a job that ended well on it. */
	heardAt: number;
	breaker: Breaker;
}

export const unprobed = (url: string, slots: number): Worker => ({
	url,
	state: "unknown",
	slots,
	digest: "",
	heardAt: 0,
	breaker: closed,
});

/** After an answer to "are you ready?". A worker of another model would answer jobs, wrongly: it is none of ours. */
export function afterProbe(
	worker: Worker,
	probed: Probed,
	model: string,
	now: number,
): Worker {
	const heard = { ...worker, heardAt: now };
	if (probed.status !== "ready") return { ...heard, state: probed.status };
	if (probed.model !== model) return { ...heard, state: "mistaken" };
	const { slots, digest } = probed;
	return { ...heard, state: "ready", slots, digest };
}

/** Whether it must be asked before a slot of it is promised. */
export const isStale = ({ state, heardAt }: Worker, now: number): boolean =>
	state === "unknown" || (state === "ready" && now - heardAt > TRUST_MS);

/** Whether it is to be asked now, because somebody waits. */
export const isDue = ({ state, heardAt }: Worker, now: number): boolean =>
	state === "unknown" ||
	now - heardAt >= (state === "ready" ? ASK_READY_EVERY_MS : ASK_EVERY_MS);

/** How many more jobs it may get. */
export function openSlots(
	worker: Worker,
	running: number,
	now: number,
): number {
	if (worker.state !== "ready" || isStale(worker, now)) return 0;
	return Math.min(
		Math.max(0, worker.slots - running),
		admits(worker.breaker, now),
	);
}

/** Whether it takes jobs, now or when one of its own ends. */
export const takesJobs = ({ state, breaker }: Worker): boolean =>
	state === "ready" && breaker.openUntil === null;

/** A worker and how many more jobs it may get. */
export interface Candidate {
	worker: Worker;
	open: number;
}

/**
 * The worker for a job: the one with the most open slots, of equal ones the first. One that failed the job is passed over while
 * another one takes jobs, even if that one is busy now.
 */
export function choose(
	spots: readonly Candidate[],
	avoid: string | null,
): Worker | null {
	const elsewhere = spots.some(
		({ worker }) => worker.url !== avoid && takesJobs(worker),
	);
	let best: Candidate | null = null;
	for (const spot of spots)
		if (spot.open > (best?.open ?? 0))
			if (!elsewhere || spot.worker.url !== avoid) best = spot;
	return best?.worker ?? null;
}
