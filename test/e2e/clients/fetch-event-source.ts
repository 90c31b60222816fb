/** What runs in the page: `@microsoft/fetch-event-source`, reading a stream as its users do. */
import { fetchEventSource } from "@microsoft/fetch-event-source";
import { type Heard, requestOf, type Stream, understood } from "./stream.ts";

declare global {
	interface Window {
		read: (stream: Stream) => Promise<Heard>;
	}
}

window.read = async (stream) => {
	const heard: Heard = [];
	const read = new AbortController();
	await fetchEventSource(stream.url, {
		...requestOf(stream),
		signal: read.signal,
		onmessage({ event, data }) {
			heard.push([event, understood(data)]);
			if ([event, data].includes(stream.until)) read.abort();
		},
		onerror(error) {
			throw error;
		},
	});
	return heard;
};
