/** Two sockets that are one connection: when either closes the other does. */
import type { Socket } from "node:net";

/** @param open both, for as long as they are open */
export function tie(near: Socket, far: Socket, open: Set<Socket>): void {
	for (const [one, other] of [
		[near, far],
		[far, near],
	] as const) {
		open.add(one);
		one.on("error", () => {});
		one.on("close", () => {
			open.delete(one);
			other.destroy();
		});
	}
}
