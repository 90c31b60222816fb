/**
 * When to look again for what presigned PUTs leave in staging. A URL works until it expires, however often it was used,
 * and the store asks for its time where a PUT begins: one that is slow ends long after that, behind the last look, and
 * would leave the file as it was sent, with its location, for good. So the looks go on for as long as a PUT may take.
 */
import { PUT_VALID_MS } from "../images/key.ts";

const MINUTE = 60_000;
/** No PUT takes longer. At that rate 20 MB are 240 bytes a second; a store that waits even for that has a rule of its own (docs/bucket.md). */
export const PUT_TAKES_MS = 24 * 60 * MINUTE;
/** A URL is signed a moment after its upload is made, and the store's clock may be slow. */
export const SKEW_MS = 5 * MINUTE;
/** From the expiry on, further apart each time: most slow ones are not very slow. Five requests in all, for uploads over 4 MB alone. */
const LOOKS_AFTER_MS = [
	SKEW_MS,
	30 * MINUTE,
	2 * 60 * MINUTE,
	8 * 60 * MINUTE,
	PUT_TAKES_MS + SKEW_MS,
];

/**
 * @param createdAt of the upload
 * @param now when the deletion before began
 * @returns when to delete once more, or null where nothing can come any more
 */
export function nextSweep(createdAt: number, now: number): number | null {
	const expires = createdAt + PUT_VALID_MS;
	// A millisecond later: what ends just then is there.
	const looks = LOOKS_AFTER_MS.map((after) => expires + after + 1);
	return looks.find((at) => at > now) ?? null;
}
