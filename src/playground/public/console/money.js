// @ts-check
/** Amounts as people write them. */

/** Micro-USD; null for what is no amount. @param {string} text as in `10` or `2.50` */
export function microUsd(text) {
	const match = /^(\d{1,6})(?:\.(\d{1,2}))?$/.exec(text.trim());
	if (!match) return null;
	const [, whole = "0", cents = ""] = match;
	return Number(whole) * 1e6 + Number(cents.padEnd(2, "0")) * 1e4;
}
