/**
 * A response's whole body, or null as soon as it is over the limit, whatever its Content-Length claims.
 * @param limit bytes
 */
export async function readAtMost(
	response: Response,
	limit: number,
): Promise<Uint8Array<ArrayBuffer> | null> {
	if (Number(response.headers.get("Content-Length")) > limit) {
		await response.body?.cancel();
		return null;
	}
	const chunks: Uint8Array[] = [];
	let size = 0;
	const reader = response.body?.getReader();
	while (reader) {
		const { done, value } = await reader.read();
		if (done) break;
		size += value.length;
		if (size > limit) {
			await reader.cancel();
			return null;
		}
		chunks.push(value);
	}
	const whole = new Uint8Array(size);
	let at = 0;
	for (const chunk of chunks) {
		whole.set(chunk, at);
		at += chunk.length;
	}
	return whole;
}
