/** When the next batch of tokens is written and sent. The first token never waits. */

/** Jobs of one pool from which the commits of all of them, not the readers of one, set the pace. */
const MANY_JOBS = 40;

/**
 * Milliseconds from one batch to the next: sends are bounded by the readers of this job, commits by all running jobs.
 * @param readers connected to this job
 * @param running jobs of the same pool that run now
 */
export function pace(readers: number, running: number): number {
	const wait = Math.max(30, Math.min(500, readers / 5));
	return running >= MANY_JOBS ? Math.max(100, wait) : wait;
}
