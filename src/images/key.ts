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

/** When the upload was made whose staged object this is; null where it is none, which callers cannot write. */
export function stagedAt(key: string): number | null {
	if (!key.startsWith(STAGING)) return null;
	return decodeTime(key.slice(key.lastIndexOf("_") + 1));
}
