/** A wire that can be cut: a TCP proxy on a port of its own. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

export interface Line {
	url: string;
	/** Breaks every connection without a word; the next ones go through. */
	cut: () => void;
	stop: () => Promise<void>;
}

/** @param target port on this machine */
export async function lineTo(target: number): Promise<Line> {
	const sockets = new Set<Socket>();
	const server = createServer((near) => {
		const far = connect(target, "127.0.0.1");
		for (const [one, other] of [
			[near, far],
			[far, near],
		] as const) {
			sockets.add(one);
			one.pipe(other);
			one.on("error", () => {});
			one.on("close", () => {
				sockets.delete(one);
				other.destroy();
			});
		}
	});
	server.listen(0, "127.0.0.1");
	await once(server, "listening");
	const cut = () => {
		for (const socket of sockets) socket.resetAndDestroy();
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
