/** The secrets that sign webhooks. */

/** 192 random bits, in the form of Standard Webhooks. */
export const newWebhookSecret = (): string =>
	`whsec_${crypto.getRandomValues(new Uint8Array(24)).toBase64()}`;

/**
 * For this long after a rotation the old secret signs as well, so that receivers can change over.
 */
export const OLD_SECRET_VALID_MS = 24 * 60 * 60_000;
