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
 * @param after what the server must have sent for the wire to fail, once, at that event's end
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
		// One chunk may hold the whole answer, or a part of the word.
		let seen = Buffer.alloc(0);
		far.on("data", (bytes) => {
			if (!whole) return void near.write(bytes);
			seen = Buffer.concat([seen, bytes]);
			const at = seen.indexOf(after);
			const end = at < 0 ? -1 : seen.indexOf("\n\n", at);
			if (end < 0) return void near.write(bytes);
			whole = false;
			far.pause();
			const rest = seen.length - (end + 2);
			near.write(bytes.subarray(0, bytes.length - rest), () => {
				if (how === "cut") near.destroy();
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
