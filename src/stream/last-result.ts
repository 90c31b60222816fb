/**
 * Remembers the last result of a function. One process often serves many readers of one log, which
 * get the same message one after the other, so that it is parsed and encoded once for all of them.
 */
export function lastResult<A extends unknown[], R>(
	compute: (...args: A) => R,
): (...args: A) => R {
	let last: { args: A; result: R } | null = null;
	return (...args) => {
		if (!last?.args.every((each, n) => each === args[n]))
			last = { args, result: compute(...args) };
		return last.result;
	};
}
