/** Whether a call's client is still there: it is written to, and a write that fails tells. */
import { CLOSE_HUNG_UP } from "./readers.ts";

/** A call whose job ends when it is hung up on is written to this often. */
export const WRITE_EVERY_MS = 250;

export class Presence {
	readonly #since = Date.now();
	/**
	 * The last write; before there was any, the request. The first one after the client left fails.
	 */
	#last = this.#since;

	wrote(): void {
		this.#last = Date.now();
	}

	/**
	 * For how long the answer waits for its true status, in milliseconds from now; then it begins,
	 * and a failure is told in its body. It waits a second from the request, of which the job has
	 * at least half. The caller of a job that runs has waited before.
	 */
	patience(repeat: boolean): number {
		if (repeat) return 250;
		return Math.max(500, 1_000 - (Date.now() - this.#since));
	}

	/** For how long the client may be gone, in milliseconds, where it turns out to be gone now. */
	get ago(): number {
		return Date.now() - this.#last;
	}
}

/** How a reader's socket is closed when its client is gone. */
export const closing = (
	presence: Presence | null,
): [code?: number, reason?: string] =>
	presence ? [CLOSE_HUNG_UP, String(presence.ago)] : [];

/** A moment that can be called off. */
export function after(ms: number): { over: Promise<void>; stop: () => void } {
	let timer: ReturnType<typeof setTimeout> | undefined;
	const over = new Promise<void>((resolve) => {
		timer = setTimeout(resolve, ms);
	});
	return { over, stop: () => clearTimeout(timer) };
}

const utf8 = new TextEncoder();

/**
 * JSON that begins before it is known, with spaces, which JSON allows there: they show whether the
 * client is there, and keep the connection from being taken for a dead one.
 * @param left is called where the client hangs up first
 */
export function jsonToCome(
	json: Promise<string>,
	presence: Presence,
	left: () => void,
): ReadableStream<Uint8Array> {
	let timer: ReturnType<typeof setInterval> | undefined;
	return new ReadableStream<Uint8Array>({
		start(controller) {
			const write = (text: string) => {
				controller.enqueue(utf8.encode(text));
				presence.wrote();
			};
			write(" ");
			timer = setInterval(() => {
				if ((controller.desiredSize ?? 0) > 0) write(" ");
			}, WRITE_EVERY_MS);
			json
				.then((text) => {
					write(text);
					controller.close();
				})
				.catch((error) => controller.error(error))
				.finally(() => clearInterval(timer));
		},
		cancel() {
			clearInterval(timer);
			left();
		},
	});
}

/** No server in between may keep the spaces back: neither in a buffer nor in a compressor. */
export const JSON_TO_COME_HEADERS = {
	"Content-Type": "application/json",
	"Content-Encoding": "identity",
	"Cache-Control": "no-store, no-transform",
	"X-Accel-Buffering": "no",
} as const;
