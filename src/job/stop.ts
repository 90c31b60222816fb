/** Stop strings over a job's whole text, whatever the borders of tokens, batches and attempts. */

export interface Scan {
	/** Text that no stop string can take back any more. */
	shown: string;
	/** The tail that may be the start of a stop string. */
	held: string;
	/** Whether a stop string is complete; `held` is then empty and what followed is dropped. */
	hit: boolean;
}

/**
 * Takes the next piece of text after a tail held so far.
 *
 * The stop string that completes first wins, and of two that complete together the longer one: this is what
 * reading character by character finds, so that the result does not depend on how the text was cut.
 */
export function scan(
	stops: readonly string[],
	held: string,
	piece: string,
): Scan {
	const text = held + piece;
	let start = -1;
	let end = Number.POSITIVE_INFINITY;
	for (const stop of stops) {
		const at = text.indexOf(stop);
		if (at < 0) continue;
		const ends = at + stop.length;
		if (ends < end || (ends === end && at < start)) {
			start = at;
			end = ends;
		}
	}
	if (start >= 0) return { shown: text.slice(0, start), held: "", hit: true };
	let tail = 0;
	for (const stop of stops)
		for (let n = Math.min(stop.length - 1, text.length); n > tail; n--)
			if (text.endsWith(stop.slice(0, n))) tail = n;
	return {
		shown: text.slice(0, text.length - tail),
		held: text.slice(text.length - tail),
		hit: false,
	};
}
