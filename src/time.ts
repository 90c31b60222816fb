/** Waiting. */

export const sleep = (ms: number): Promise<void> =>
	new Promise((resolve) => setTimeout(resolve, ms));

/** What a promise resolves to within `ms`, else null. The promise must not reject. */
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
		clearTimeout(timer); // a pending timer keeps an object in memory
	}
}
