/** A wire that can be cut: a TCP proxy whose connections the test breaks. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

export interface Wire {
	url: string;
	/** Breaks every connection there is, as a network would: without a word. */
	cut: () => void;
	stop: () => Promise<void>;
}

/** @param target URL of the server behind it */
export async function wireTo(target: string): Promise<Wire> {
	const { hostname, port } = new URL(target);
	const sockets = new Set<Socket>();
	const server = createServer((near) => {
		const far = connect(Number(port), hostname);
		for (const [from, to] of [
			[near, far],
			[far, near],
		] as const) {
			sockets.add(from);
			from.pipe(to);
			from.on("error", () => {});
			from.on("close", () => {
				sockets.delete(from);
				to.destroy();
			});
		}
	});
	server.listen(0, "127.0.0.1");
	await once(server, "listening");
	const cut = () => {
		for (const socket of sockets) socket.destroy();
	};
	return {
		url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
		cut,
		stop: async () => {
			server.close();
			cut();
			await once(server, "close");
		},
	};
}
