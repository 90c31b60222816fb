/**
 * Stands between edge and worker, and breaks answers as it is told, after exactly so many tokens.
 */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";

export interface BreakingProxy {
	url: string;
	/** For each of the next generations: `token` events to let through before it breaks. */
	breaks: number[];
	/**
	 * While set: `token` events of a generation to let through; what comes after them stays here,
	 * until the edge hangs up.
	 */
	stall: number | null;
	stop: () => Promise<void>;
}

export async function proxyTo(target: string): Promise<BreakingProxy> {
	const breaks: number[] = [];
	const proxy = { breaks, stall: null as number | null };
	const server = createServer(async (incoming, outgoing) => {
		const hungUp = new AbortController();
		outgoing.on("close", () => hungUp.abort());
		const generates = incoming.url === "/v1/generate";
		const most = (generates && breaks.shift()) || Number.POSITIVE_INFINITY;
		let tokens = 0;
		try {
			const answer = await fetch(target + incoming.url, {
				method: incoming.method ?? "GET",
				headers: {
					Authorization: incoming.headers.authorization ?? "",
					"Content-Type": "application/json",
				},
				body:
					incoming.method === "POST"
						? (Readable.toWeb(incoming) as ReadableStream<Uint8Array>)
						: null,
				signal: hungUp.signal,
				duplex: "half",
			} as RequestInit);
			outgoing.writeHead(answer.status, {
				"Content-Type": answer.headers.get("Content-Type") ?? "",
			});
			// One chunk of a fast worker may hold the whole rest of an answer, so it counts whole events.
			let waiting = Buffer.alloc(0);
			for await (const bytes of answer.body ?? []) {
				waiting = Buffer.concat([waiting, bytes]);
				for (let end = endOfEvent(waiting); end; end = endOfEvent(waiting)) {
					const event = waiting.subarray(0, end);
					waiting = waiting.subarray(end);
					outgoing.write(event);
					if (event.includes("event: token")) tokens += 1;
					if (tokens >= most) {
						// What was written arrives first, then nothing more does.
						outgoing.write("", () => outgoing.destroy());
						return;
					}
					while (generates && tokens >= (proxy.stall ?? tokens + 1)) {
						if (hungUp.signal.aborted) return;
						await sleep(20);
					}
				}
			}
			outgoing.end(waiting);
		} catch {
			outgoing.destroy();
		}
	});
	server.listen(0, "127.0.0.1");
	await once(server, "listening");
	return Object.assign(proxy, {
		url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
		stop: async () => {
			server.close();
			server.closeAllConnections();
			await once(server, "close");
		},
	});
}

/** Where the first event of the bytes ends, 0 where none does yet. */
function endOfEvent(bytes: Buffer): number {
	const blank = bytes.indexOf("\n\n");
	return blank < 0 ? 0 : blank + 2;
}
