/**
 * Which deliveries may be sent now. Those of one job are in line: the next one is sent once the
 * receiver accepted the one before, or its last try failed. Lines do not wait for each other.
 */

export interface QueuedDelivery {
	id: number;
	/** The job's id; null for a delivery that waits for no other, and holds up none. */
	line: string | null;
	/** When the next try is due, once it is first in line. Milliseconds since 1970. */
	nextAt: number;
}

/** The first of each line, in order of id. */
export function firstInLine<D extends QueuedDelivery>(
	waiting: readonly D[],
): D[] {
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
 * @param sending ids that are being sent
 * @param most that may be sent at once
 */
export function readyToSend<D extends QueuedDelivery>(
	waiting: readonly D[],
	sending: ReadonlySet<number>,
	most: number,
	now: number,
): D[] {
	return firstInLine(waiting)
		.filter(({ id, nextAt }) => !sending.has(id) && nextAt <= now)
		.sort((a, b) => a.nextAt - b.nextAt || a.id - b.id)
		.slice(0, Math.max(0, most - sending.size));
}

/** When the next one is due that is not being sent; null where there is none. */
export function nextDue(
	waiting: readonly QueuedDelivery[],
	sending: ReadonlySet<number>,
): number | null {
	const times = firstInLine(waiting)
		.filter(({ id }) => !sending.has(id))
		.map(({ nextAt }) => nextAt);
	return times.length > 0 ? Math.min(...times) : null;
}
