/** A wire that can be cut: a TCP proxy on a port of its own. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { tie } from "../support/tie.ts";

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
		near.pipe(far).pipe(near);
		tie(near, far, sockets);
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
