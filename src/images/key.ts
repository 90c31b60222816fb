/** The keys of images in the bucket. */
import { decodeTime } from "ulid";

/** How long a presigned PUT is valid. */
export const PUT_VALID_MS = 15 * 60_000;

const FINAL = "images/";
const STAGING = "staging/";

/** The key of a finalized image. Only the edge writes there. */
export const finalKey = (account: string, upload: string): string =>
	`${FINAL}${account}/${upload}`;

/**
 * The key that a presigned PUT writes. It differs from the final key because the URL stays valid
 * after finalization.
 */
export const stagingKey = (key: string): string =>
	STAGING + key.slice(FINAL.length);

/** When the upload of a staged object was created; null for a key outside the staging area. */
export function stagedAt(key: string): number | null {
	if (!key.startsWith(STAGING)) return null;
	return decodeTime(key.slice(key.lastIndexOf("_") + 1));
}
