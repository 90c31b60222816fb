/** Server-sent events out of raw bytes: one decoder, no transform streams (measured: they cost more than the parsing). */

export interface ServerSentEvent {
	event: string;
	data: string;
}

export class SseParser {
	readonly #decoder = new TextDecoder("utf-8");
	#rest = "";
	#event = "";
	#data: string[] = [];

	/** The events that these bytes complete; characters and lines may be cut anywhere. */
	push(bytes: Uint8Array): ServerSentEvent[] {
		const events: ServerSentEvent[] = [];
		this.#rest += this.#decoder.decode(bytes, { stream: true });
		let from = 0;
		for (;;) {
			const end = this.#rest.indexOf("\n", from);
			if (end < 0) break;
			const line = this.#rest.slice(
				from,
				this.#rest[end - 1] === "\r" && end > from ? end - 1 : end,
			);
			from = end + 1;
			if (line === "") {
				if (this.#data.length > 0)
					events.push({
						event: this.#event || "message",
						data: this.#data.join("\n"),
					});
				this.#event = "";
				this.#data = [];
			} else this.#field(line);
		}
		this.#rest = this.#rest.slice(from);
		return events;
	}

	#field(line: string): void {
		const colon = line.indexOf(":");
		if (colon === 0) return;
		const name = colon < 0 ? line : line.slice(0, colon);
		const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
		if (name === "event") this.#event = value;
		else if (name === "data") this.#data.push(value);
	}
}
