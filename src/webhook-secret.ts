/** The secrets that sign webhooks. */

/** Standard Webhooks' form: 192 random bits. */
export const newSecret = (): string =>
	`whsec_${crypto.getRandomValues(new Uint8Array(24)).toBase64()}`;

/** After a rotation the old secret signs too for so long. */
export const OLD_SECRET_MS = 24 * 60 * 60_000;
