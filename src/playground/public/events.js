// @ts-check
/**
 * Reads server-sent events from a fetch body, because `EventSource` can send neither a key nor a
 * POST.
 */

/** @typedef {{ type: string, id: string, data: string }} StreamEvent */

/**
 * @param {ReadableStream<Uint8Array>} body
 * @param {{ onBytes: () => void, onRetry: (ms: number) => void }} options `onBytes` is called for
 * comments too, which the server sends to keep a quiet stream alive
 * @returns {AsyncGenerator<StreamEvent, void>}
 */
export async function* readEvents(body, { onBytes, onRetry }) {
	const reader = body.getReader();
	const decoder = new TextDecoder();
	let rest = "";
	let id = "";
	let type = "message";
	/** @type {string[]} */
	let data = [];
	try {
		for (;;) {
			const { done, value } = await reader.read();
			// An event without its final blank line is incomplete. The next connection delivers it whole.
			if (done) return;
			onBytes();
			const lines = (rest + decoder.decode(value, { stream: true })).split(
				/\r?\n/,
			);
			rest = lines.pop() ?? "";
			for (const line of lines) {
				if (line === "") {
					if (data.length > 0) yield { type, id, data: data.join("\n") };
					type = "message";
					data = [];
					continue;
				}
				const [, field, content = ""] =
					/^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? [];
				if (field === "event") type = content;
				else if (field === "data") data.push(content);
				else if (field === "id") id = content;
				else if (field === "retry" && /^\d+$/.test(content))
					onRetry(Number(content));
			}
		}
	} finally {
		reader.cancel().catch(() => {});
	}
}
