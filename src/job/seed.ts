/**
 * The seed of an attempt that goes on after `committed` tokens. The first tokens draw from the job's own seed; a later
 * attempt draws from a hash of both, so that it repeats no randomness already used and yet is the same on every retry.
 */
export function attemptSeed(seed: number, committed: number): number {
	if (committed === 0) return seed;
	// The finalizer of MurmurHash3 over both words.
	let h = seed ^ Math.imul(committed, 0x9e3779b1);
	h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
	h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
	return (h ^ (h >>> 16)) >>> 0;
}
