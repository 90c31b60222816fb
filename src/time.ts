/** What a promise brings within `ms`, else null. It must not reject. */
export async function nullAfter<T>(
	ms: number,
	promise: Promise<T>,
): Promise<T | null> {
	let timer: ReturnType<typeof setTimeout> | undefined;
	const late = new Promise<null>((resolve) => {
		timer = setTimeout(() => resolve(null), ms);
	});
	const first = await Promise.race([promise, late]);
	clearTimeout(timer); // a pending timer would keep the object in memory
	return first;
}
