/**
 * The state of a pool's workers, and which of them a job gets. Times are milliseconds since 1970.
 */
import type { ProbeResult } from "../backends/worker.ts";
import type { WorkerLoad } from "../contract/pool.ts";
import { admissible, type Breaker, CLOSED } from "./breaker.ts";

/** How often a worker that is not ready is probed while jobs are in the queue. */
export const PROBE_EVERY_MS = 1_000;
/** How often a ready worker is probed while jobs are in the queue: it may begin to drain. */
const PROBE_READY_EVERY_MS = 5_000;
/** For how long a worker is taken to be ready after it last answered so. */
const TRUST_MS = 30_000;

export interface Worker {
	url: string;
	/** As of its last answer; its circuit breaker is apart. */
	state: Exclude<WorkerLoad["state"], "broken">;
	/** As of its last answer as a ready worker, also while it is away; 0 before that. */
	slots: number;
	digest: string;
	/** When it last answered a probe, or a job last succeeded on it. */
	answeredAt: number;
	breaker: Breaker;
}

export const unprobedWorker = (url: string, slots: number): Worker => ({
	url,
	state: "unknown",
	slots,
	digest: "",
	answeredAt: 0,
	breaker: CLOSED,
});

/**
 * The worker after a probe. One that serves another model would answer jobs, wrongly: it gets none.
 */
export function afterProbe(
	worker: Worker,
	probed: ProbeResult,
	model: string,
	now: number,
): Worker {
	const answered = { ...worker, answeredAt: now };
	if (probed.status !== "ready") return { ...answered, state: probed.status };
	if (probed.model !== model) return { ...answered, state: "mistaken" };
	const { slots, digest } = probed;
	return { ...answered, state: "ready", slots, digest };
}

/** Whether it must be probed before one of its slots is granted. */
export const isStale = ({ state, answeredAt }: Worker, now: number): boolean =>
	state === "unknown" || (state === "ready" && now - answeredAt > TRUST_MS);

/** Whether it is to be probed now, where jobs are in the queue. */
export const needsProbe = (
	{ state, answeredAt }: Worker,
	now: number,
): boolean =>
	state === "unknown" ||
	now - answeredAt >=
		(state === "ready" ? PROBE_READY_EVERY_MS : PROBE_EVERY_MS);

/** How many more jobs the worker may get now. */
export function freeSlots(
	worker: Worker,
	running: number,
	now: number,
): number {
	if (worker.state !== "ready" || isStale(worker, now)) return 0;
	return Math.min(
		Math.max(0, worker.slots - running),
		admissible(worker.breaker, now),
	);
}

/** Whether it takes jobs, now or as soon as one of those that it runs ends. */
export const takesJobs = ({ state, breaker }: Worker): boolean =>
	state === "ready" && breaker.openUntil === null;

/** A worker and how many more jobs it may get. */
export interface Candidate {
	worker: Worker;
	free: number;
}

/**
 * The worker for a job: the one with the most free slots, of equal ones the first. The worker that
 * failed the job is passed over while another one takes jobs, even if that one is busy now.
 */
export function chooseWorker(
	candidates: readonly Candidate[],
	avoid: string | null,
): Worker | null {
	const elsewhere = candidates.some(
		({ worker }) => worker.url !== avoid && takesJobs(worker),
	);
	let best: Candidate | null = null;
	for (const candidate of candidates) {
		if (elsewhere && candidate.worker.url === avoid) continue;
		if (candidate.free > (best?.free ?? 0)) best = candidate;
	}
	return best?.worker ?? null;
}
