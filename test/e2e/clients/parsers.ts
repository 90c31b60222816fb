/** Parsers of server-sent events that pages and servers use, reading our streams as users do. */
import { join } from "node:path";
import { build } from "esbuild";
import { EventSource } from "eventsource";
import { openBrowser } from "../browser.ts";
import { type Heard, requestOf, type Stream, understood } from "./stream.ts";

/** All names that our streams have. It hears only those it was told of. */
const NAMES = [
	"message",
	"token",
	"usage",
	"done",
	...["created", "queued", "provisioning", "running", "retrying"].map(
		(state) => `job.${state}`,
	),
	...["succeeded", "failed", "canceled", "expired"].map(
		(state) => `job.${state}`,
	),
];

export function byEventSource(stream: Stream): Promise<Heard> {
	const heard: Heard = [];
	const { headers, ...request } = requestOf(stream);
	return new Promise((resolve, reject) => {
		const source = new EventSource(stream.url, {
			fetch: (url, init) =>
				fetch(url, {
					...init,
					...request,
					headers: { ...init.headers, ...headers },
				} as RequestInit),
		});
		const end = (settle: () => void) => {
			source.close();
			settle();
		};
		source.onerror = (error) => end(() => reject(error));
		for (const name of NAMES)
			source.addEventListener(name, ({ type, data }) => {
				try {
					heard.push([type, understood(data)]);
				} catch (error) {
					end(() => reject(error));
				}
				if ([type, data].includes(stream.until)) end(() => resolve(heard));
			});
	});
}

/** In a page of the edge's own: the package is made for pages, and for nothing else. */
export async function inPage(): Promise<{
	read: (stream: Stream) => Promise<Heard>;
	close: () => Promise<void>;
}> {
	const { outputFiles } = await build({
		entryPoints: [join(import.meta.dirname, "fetch-event-source.ts")],
		bundle: true,
		write: false,
		format: "iife",
	});
	const browser = await openBrowser();
	return {
		async read(stream) {
			const page = await browser.newPage();
			await page.goto(new URL("/healthz", stream.url).href);
			await page.evaluate(outputFiles[0]?.text ?? "");
			return page.evaluate((given) => window.read(given), stream);
		},
		close: () => browser.close(),
	};
}

/** No parser: what is on the wire, up to the end of the block that ends the reading. */
export async function asText(stream: Stream): Promise<string> {
	const read = new AbortController();
	const { body } = await fetch(stream.url, {
		...requestOf(stream),
		signal: read.signal,
	});
	let text = "";
	const utf8 = new TextDecoder();
	for await (const bytes of body ?? []) {
		text += utf8.decode(bytes, { stream: true });
		if (text.includes(stream.until) && text.endsWith("\n\n")) break;
	}
	read.abort();
	return text;
}
