/** Server-sent events, as the HTML standard reads them, from bytes. */
import { readerOf } from "./bytes.ts";
import type { ByteStream } from "./platform.ts";

export interface Frame {
	id: string;
	type: string;
	data: string;
}

/**
 * The frames of a body, until it ends. Comments and `retry` are passed over.
 * @param idle milliseconds of silence after which the body counts as ended
 */
export async function* frames(
	body: ByteStream,
	idle: number,
): AsyncGenerator<Frame> {
	const reader = readerOf(body);
	const utf8 = new TextDecoder();
	let rest = "";
	let frame: Partial<Frame> = {};
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
					const { id = "", type = "message", data } = frame;
					frame = {};
					if (data !== undefined) yield { id, type, data };
					continue;
				}
				const [, name, text = ""] = /^([^:]*):? ?(.*)$/s.exec(line) ?? [];
				if (name === "id") frame.id = text;
				else if (name === "event") frame.type = text;
				else if (name === "data")
					frame.data =
						frame.data === undefined ? text : `${frame.data}\n${text}`;
			}
		}
	} finally {
		// Hangs up, where the reader left before the end.
		reader.cancel().catch(() => {});
	}
}
