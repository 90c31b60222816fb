/** A wire that fails where the test says: a TCP proxy in front of the edge. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { tie } from "../support/tie.ts";

export interface Wire {
	url: string;
	stop: () => Promise<void>;
}

/**
 * @param target URL of the server behind the wire
 * @param after what the server must have sent for the wire to fail; it fails once
 * @param how `cut` breaks the connection without a word, `hold` lets nothing more through on it
 */
export async function wireTo(
	target: string,
	after: string,
	how: "cut" | "hold",
): Promise<Wire> {
	const { hostname, port } = new URL(target);
	const sockets = new Set<Socket>();
	let whole = true;
	const server = createServer((near) => {
		const far = connect(Number(port), hostname);
		near.pipe(far);
		far.on("data", (bytes) => {
			near.write(bytes, () => {
				if (!whole || !bytes.includes(after)) return;
				whole = false;
				if (how === "cut") near.destroy();
				else far.pause();
			});
		});
		tie(near, far, sockets);
	});
	server.listen(0, "127.0.0.1");
	await once(server, "listening");
	return {
		url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
		stop: async () => {
			server.close();
			for (const socket of sockets) socket.destroy();
			await once(server, "close");
		},
	};
}
