/** Serves the fake worker on a port, for tests that run the edge as a process. Runs in Node. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import type { FakeWorker } from "./fake-worker.ts";

export async function serve(
	worker: FakeWorker,
	port = 0,
): Promise<{ url: string; stop: () => Promise<void> }> {
	// Node passes an abort on to a request's own signal only while the request is reachable.
	const running = new Set<Request>();
	const server = createServer(async (incoming, outgoing) => {
		const hungUp = new AbortController();
		outgoing.on("close", () => hungUp.abort());
		const body = incoming.method === "POST" ? Readable.toWeb(incoming) : null;
		const request = new Request(`http://worker${incoming.url}`, {
			method: incoming.method ?? "GET",
			headers: incoming.headers as Record<string, string>,
			body: body as ReadableStream | null,
			signal: hungUp.signal,
			duplex: "half",
		} as RequestInit);
		running.add(request);
		try {
			const response = await worker.fetch(request);
			outgoing.writeHead(response.status, Object.fromEntries(response.headers));
			outgoing.flushHeaders();
			for await (const chunk of response.body ?? []) outgoing.write(chunk);
			outgoing.end();
		} catch {
			// Breaks the connection as the script does, after the written bytes have left.
			if (outgoing.headersSent) outgoing.write("", () => outgoing.destroy());
			else outgoing.destroy();
		}
		running.delete(request);
	});
	await new Promise<void>((listening) =>
		server.listen(port, "127.0.0.1", listening),
	);
	return {
		url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
		stop: () =>
			new Promise((stopped) => {
				server.close(() => stopped());
				server.closeAllConnections();
			}),
	};
}
