// @ts-check
/**
 * The server-sent events of a response, as they arrive.
 * @param {Response} response
 * @returns {AsyncGenerator<{ event: string, data: any }>}
 */
export async function* events(response) {
	const decoder = new TextDecoder();
	let rest = "";
	for await (const bytes of response.body ?? []) {
		const blocks = (rest + decoder.decode(bytes, { stream: true })).split(
			"\n\n",
		);
		rest = blocks.pop() ?? "";
		for (const block of blocks) {
			const field = (/** @type {string} */ name) =>
				block
					.split("\n")
					.filter((line) => line.startsWith(`${name}:`))
					.map((line) => line.slice(name.length + 1).trimStart())
					.join("\n");
			const data = field("data");
			if (data) yield { event: field("event"), data: JSON.parse(data) };
		}
	}
}
