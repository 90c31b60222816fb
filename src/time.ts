/** Timers as promises. */

/**
 * Resolves after `ms`; rejects when the signal aborts. An abort clears the timer, because a pending
 * timer keeps a Durable Object in memory.
 */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
	return new Promise((resolve, reject) => {
		if (signal?.aborted) return reject(signal.reason);
		const aborted = () => {
			clearTimeout(timer);
			reject(signal?.reason);
		};
		const timer = setTimeout(() => {
			signal?.removeEventListener("abort", aborted);
			resolve();
		}, ms);
		signal?.addEventListener("abort", aborted, { once: true });
	});
}

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
