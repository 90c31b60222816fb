/**
 * Notices that the client of a waiting call has hung up. Only a failing write shows it, so the
 * Worker writes to the response while it waits.
 */
import { CLOSE_HUNG_UP } from "./readers.ts";

/** How often the Worker writes to a client whose job is canceled when it hangs up. */
export const WRITE_EVERY_MS = 250;

export class Presence {
	readonly #requestedAt = Date.now();
	/**
	 * The time of the last write, or of the request before the first one. The first write after the
	 * client has left fails.
	 */
	#writtenAt = this.#requestedAt;

	wrote(): void {
		this.#writtenAt = Date.now();
	}

	/**
	 * How many milliseconds from now the response may wait for the job's end. After that it begins
	 * with a success status, and a later failure goes into its body. The wait ends one second after
	 * the request, but the job always has half a second.
	 * @param isRepeat whether the caller repeats a call for a running job, and so has waited before
	 */
	headerDelay(isRepeat: boolean): number {
		if (isRepeat) return 250;
		return Math.max(500, 1_000 - (Date.now() - this.#requestedAt));
	}

	/** How many milliseconds ago a client may have left that a write now shows to be gone. */
	get goneMs(): number {
		return Date.now() - this.#writtenAt;
	}
}

/** The arguments of `Follower.close` for a client that is gone. */
export const closeArguments = (
	presence: Presence | null,
): [code?: number, reason?: string] =>
	presence ? [CLOSE_HUNG_UP, String(presence.goneMs)] : [];

/** A delay that can be canceled. */
export function cancelableDelay(ms: number): {
	over: Promise<void>;
	stop: () => void;
} {
	let timer: ReturnType<typeof setTimeout> | undefined;
	const over = new Promise<void>((resolve) => {
		timer = setTimeout(resolve, ms);
	});
	return { over, stop: () => clearTimeout(timer) };
}

const utf8 = new TextEncoder();

/**
 * A body that sends spaces, which JSON allows at its start, until the JSON is ready. They show
 * whether the client is connected, and keep proxies from closing an idle connection.
 * @param onHangUp is called when the client hangs up before the end
 */
export function delayedJson(
	json: Promise<string>,
	presence: Presence,
	onHangUp: () => void,
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
			onHangUp();
		},
	});
}

/** These headers stop proxies from holding the spaces back in a buffer or a compressor. */
export const DELAYED_JSON_HEADERS = {
	"Content-Type": "application/json",
	"Content-Encoding": "identity",
	"Cache-Control": "no-store, no-transform",
	"X-Accel-Buffering": "no",
} as const;
