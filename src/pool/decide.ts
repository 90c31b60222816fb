/** Who gets a slot, and when the pool must look again. Times are milliseconds since 1970. */

/** A lease ends this long after its last heartbeat: a dead job frees its slot. Jobs send one every 10 s. */
export const LEASE_MS = 35_000;
/** Between probes of the worker while somebody waits. */
export const PROBE_EVERY_MS = 1_000;
/** A worker seen ready within this time is taken to be ready still. */
const TRUST_MS = 30_000;

export interface Worker {
	ready: boolean;
	slots: number;
	digest: string;
	/** When it was last known to be so. */
	seenAt: number;
}

export interface Load {
	worker: Worker | null;
	/** Slots taken. */
	leased: number;
	/** Jobs in the queue. */
	waiting: number;
}

/** Whether the worker must be asked before a slot of it is promised. */
export const mustProbe = (worker: Worker | null, now: number): boolean =>
	!worker?.ready || now - worker.seenAt > TRUST_MS;

/** How many waiting jobs get a slot now. */
export const grantable = ({ worker, leased, waiting }: Load): number =>
	worker?.ready ? Math.max(0, Math.min(waiting, worker.slots - leased)) : 0;

/** When the alarm must fire: to probe while somebody waits, to end leases without heartbeats; null when all is quiet. */
export function alarmAt(
	waiting: number,
	earliestExpiry: number | null,
	now: number,
): number | null {
	const probe = waiting > 0 ? now + PROBE_EVERY_MS : null;
	if (probe === null || earliestExpiry === null) return probe ?? earliestExpiry;
	return Math.min(probe, earliestExpiry);
}
