/** Timers as promises. */

export const sleep = (ms: number): Promise<void> =>
	new Promise((resolve) => setTimeout(resolve, ms));

/** Resolves as the promise does if that takes at most `ms`; otherwise to null. */
export async function nullAfter<T>(
	ms: number,
	promise: Promise<T>,
): Promise<T | null> {
	let timer: ReturnType<typeof setTimeout> | undefined;
	const late = new Promise<null>((resolve) => {
		timer = setTimeout(() => resolve(null), ms);
	});
	try {
		return await Promise.race([promise, late]);
	} finally {
		clearTimeout(timer); // a pending timer keeps a Durable Object in memory
	}
}
