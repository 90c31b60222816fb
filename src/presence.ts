/** Whether a call's client is still there: it is written to, and that it left is noticed by a write that fails. */

/** A call whose job ends when it is hung up on is written to this often. */
export const WRITE_EVERY_MS = 250;
/**
 * An answer waits so long for its true status, in milliseconds; then it begins, and a failure is told in its body. What is
 * asked again about a job that runs has waited before.
 */
export const beginsWithin = (again: boolean): number => (again ? 250 : 1_000);

/**
 * A write after the client left fails, or the one after that: workerd says so at the first, wrangler's dev server, which
 * stands before it, at the second. So the client may have left just after the third last.
 */
const WRITES = 3;

export class Presence {
	/** The last writes; before there were any, the request. */
	readonly #at: number[];

	constructor() {
		this.#at = Array<number>(WRITES).fill(Date.now());
	}

	wrote(): void {
		this.#at.shift();
		this.#at.push(Date.now());
	}

	/** For how long the client may be gone, in milliseconds, where it turns out to be gone now. */
	get ago(): number {
		return Date.now() - (this.#at[0] as number);
	}
}

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
 * JSON that begins before it is known, with spaces, which JSON allows there: they show whether the client is there, and keep
 * the connection from being taken for a dead one.
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
