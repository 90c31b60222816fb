/** Finds stop strings in a job's text, also across tokens, batches and attempts. */

export interface Scan {
	/** Text that cannot be part of a stop string any more. */
	shown: string;
	/** The end of the text, which may begin a stop string. */
	withheld: string;
	/** Whether a stop string is complete. Then nothing is withheld; the text after it is dropped. */
	hit: boolean;
}

/**
 * Scans the next piece of text, after the text withheld so far.
 *
 * The stop string that completes first wins, and the longer one of two that complete at the same
 * character. Reading character by character finds the same, so the result does not depend on how
 * the text is cut into pieces.
 */
export function scan(
	stops: readonly string[],
	withheld: string,
	piece: string,
): Scan {
	const text = withheld + piece;
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
	if (start >= 0)
		return { shown: text.slice(0, start), withheld: "", hit: true };
	let tail = 0;
	for (const stop of stops)
		for (let n = Math.min(stop.length - 1, text.length); n > tail; n--)
			if (text.endsWith(stop.slice(0, n))) tail = n;
	return {
		shown: text.slice(0, text.length - tail),
		withheld: text.slice(text.length - tail),
		hit: false,
	};
}
