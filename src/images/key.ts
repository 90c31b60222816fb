/** Where images lie in the bucket. */
import { decodeTime } from "ulid";

/** How long a presigned PUT may be used. */
export const PUT_VALID_MS = 15 * 60_000;

const FINAL = "images/";
const STAGING = "staging/";

/** A finalized image: written by us alone. */
export const finalKey = (account: string, upload: string): string =>
	`${FINAL}${account}/${upload}`;

/** Where a presigned PUT writes. Its URL outlives the finalization, so it must never reach the final key. */
export const stagingKey = (key: string): string =>
	STAGING + key.slice(FINAL.length);

/**
 * Until when a caller may write this object again: a used URL works until it expires. A deletion before that needs a
 * second look after it.
 * @returns milliseconds since the epoch; 0 where no caller can write
 */
export function writableUntil(key: string): number {
	if (!key.startsWith(STAGING)) return 0;
	const ulid = key.slice(key.lastIndexOf("_") + 1);
	return decodeTime(ulid) + PUT_VALID_MS;
}
