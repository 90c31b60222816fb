/**
 * When to delete again what presigned PUTs leave in staging. A URL works until it expires, however
 * often it is used, and the store checks its time when a PUT begins. A slow PUT ends long after
 * that: after the last deletion it would leave the file as it was sent, with its GPS position, for
 * good. So the deletions go on for as long as a PUT may take.
 */
import { PUT_VALID_MS } from "../images/key.ts";

const MINUTE = 60_000;
/**
 * No PUT takes longer: 20 MB would be 240 bytes a second. A store that waits even for that has a
 * rule of its own (docs/bucket.md).
 */
export const PUT_TAKES_MS = 24 * 60 * MINUTE;
/** A URL is signed a moment after its upload is created, and the store's clock may be slow. */
export const SKEW_MS = 5 * MINUTE;
/**
 * Times after the expiry, further apart each time, because most slow PUTs are not very slow. Five
 * requests, only for uploads over 4 MB.
 */
const SWEEPS_AFTER_MS = [
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
	// A millisecond later, so that what ends just then is deleted too.
	const sweeps = SWEEPS_AFTER_MS.map((after) => expires + after + 1);
	return sweeps.find((at) => at > now) ?? null;
}
