/** Reads server-sent events from bytes, as the HTML standard defines them. */
import { readerOf } from "./bytes.ts";
import type { ByteStream } from "./platform.ts";

export interface ServerSentEvent {
	id: string;
	type: string;
	data: string;
}

/**
 * Yields the events of a response's body until it ends. Ignores comments and `retry` fields.
 *
 * @param idle milliseconds of silence after which the body counts as ended
 */
export async function* serverSentEvents(
	body: ByteStream,
	idle: number,
): AsyncGenerator<ServerSentEvent> {
	const reader = readerOf(body);
	const utf8 = new TextDecoder();
	let rest = "";
	let event: Partial<ServerSentEvent> = {};
	try {
		for (;;) {
			const timer = setTimeout(() => void reader.cancel(), idle);
			const { done, value } = await reader
				.read()
				.finally(() => clearTimeout(timer));
			if (done) return;
			const lines = (rest + utf8.decode(value, { stream: true })).split(
				/\r\n|\n|\r(?!$)/,
			);
			rest = lines.pop() ?? "";
			for (const line of lines) {
				if (line === "") {
					const { id = "", type = "message", data } = event;
					event = {};
					if (data !== undefined) yield { id, type, data };
					continue;
				}
				const [, name, text = ""] = /^([^:]*):? ?(.*)$/s.exec(line) ?? [];
				if (name === "id") event.id = text;
				else if (name === "event") event.type = text;
				else if (name === "data")
					event.data =
						event.data === undefined ? text : `${event.data}\n${text}`;
			}
		}
	} finally {
		// Closes the connection when the consumer leaves the loop before the end.
		reader.cancel().catch(() => {});
	}
}
