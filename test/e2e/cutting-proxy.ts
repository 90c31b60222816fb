/**
 * A TCP proxy that breaks each of its connections, again and again, at moments drawn from a seed.
 */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { tie } from "../support/tie.ts";

export interface CuttingProxy {
	url: string;
	/** Connections broken so far. */
	cuts: () => number;
	stop: () => Promise<void>;
}

/** @param every milliseconds between two cuts, on average */
export async function cuttingProxy(
	target: string,
	seed: number,
	every = 1_000,
): Promise<CuttingProxy> {
	const { hostname, port } = new URL(target);
	const sockets = new Set<Socket>();
	let cuts = 0;
	const server = createServer((near) => {
		const far = connect(Number(port), hostname);
		near.pipe(far).pipe(near);
		tie(near, far, sockets);
	});
	const random = randomOf(seed);
	let timer: NodeJS.Timeout;
	const arm = () => {
		timer = setTimeout(
			() => {
				cuts += sockets.size / 2;
				for (const socket of sockets) socket.destroy();
				arm();
			},
			random() * 2 * every,
		);
	};
	server.listen(0, "127.0.0.1");
	await once(server, "listening");
	arm();
	return {
		url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
		cuts: () => cuts,
		stop: async () => {
			clearTimeout(timer);
			server.close();
			for (const socket of sockets) socket.destroy();
			await once(server, "close");
		},
	};
}

/** Numbers from 0 to 1, the same for the same seed: an xorshift of 32 bits. */
function randomOf(seed: number): () => number {
	let state = seed || 1;
	return () => {
		state ^= state << 13;
		state ^= state >>> 17;
		state ^= state << 5;
		return (state >>> 0) / 2 ** 32;
	};
}
