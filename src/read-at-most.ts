/**
 * Reads a whole body, and stops at the limit whatever Content-Length says. It cancels the rest of a
 * response; it leaves the rest of a request to http/drain.ts.
 * @param limit in bytes
 * @returns null for a body over the limit
 */
export async function readAtMost(
	message: { headers: Headers; body: ReadableStream<Uint8Array> | null },
	limit: number,
): Promise<Uint8Array<ArrayBuffer> | null> {
	const isRequest = message instanceof Request;
	if (Number(message.headers.get("Content-Length")) > limit) {
		if (!isRequest) await message.body?.cancel();
		return null;
	}
	const chunks: Uint8Array[] = [];
	let size = 0;
	const reader = message.body?.getReader();
	while (reader) {
		const { done, value } = await reader.read();
		if (done) break;
		size += value.length;
		if (size > limit) {
			if (isRequest) reader.releaseLock();
			else await reader.cancel();
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
