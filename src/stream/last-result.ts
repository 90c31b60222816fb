/**
 * Remembers the last result of a function. One process often serves many readers of one log, which
 * get the same message one after the other, so that it is parsed and encoded once for all of them.
 */
export function lastResult<A, R>(
	compute: (argument: A) => R,
): (argument: A) => R {
	let last: { argument: A; result: R } | null = null;
	return (argument) => {
		if (last === null || last.argument !== argument)
			last = { argument, result: compute(argument) };
		return last.result;
	};
}
