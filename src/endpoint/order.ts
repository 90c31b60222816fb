/**
 * Which deliveries may go now. Those of one job wait in line: the next one goes when the one before was accepted or
 * given up. Lines do not wait for each other.
 */

export interface QueuedDelivery {
	id: number;
	/** The job; null for what waits for nothing and holds nothing back. */
	line: string | null;
	/** When it may be tried, once it is first in line. Milliseconds since 1970. */
	nextAt: number;
}

/** The first of each line, in order of id. */
export function heads<W extends QueuedDelivery>(waiting: readonly W[]): W[] {
	const lines = new Set<string>();
	return [...waiting]
		.sort((a, b) => a.id - b.id)
		.filter(({ line }) => {
			if (line === null) return true;
			const first = !lines.has(line);
			lines.add(line);
			return first;
		});
}

/**
 * Those to send now, the longest due first.
 * @param busy ids that are under way
 * @param most that may be under way at once
 */
export function ready<W extends QueuedDelivery>(
	waiting: readonly W[],
	busy: ReadonlySet<number>,
	most: number,
	now: number,
): W[] {
	return heads(waiting)
		.filter(({ id, nextAt }) => !busy.has(id) && nextAt <= now)
		.sort((a, b) => a.nextAt - b.nextAt || a.id - b.id)
		.slice(0, Math.max(0, most - busy.size));
}

/** When the next one is due that is not under way; null where there is none. */
export function nextDue(
	waiting: readonly QueuedDelivery[],
	busy: ReadonlySet<number>,
): number | null {
	const times = heads(waiting)
		.filter(({ id }) => !busy.has(id))
		.map(({ nextAt }) => nextAt);
	return times.length > 0 ? Math.min(...times) : null;
}
