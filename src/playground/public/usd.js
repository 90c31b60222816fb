// @ts-check

/** Formats micro-USD as USD. @param {number} price */
export const usd = (price) =>
	`${(price / 1e6).toFixed(6).replace(/(\.\d\d\d*?)0+$/, "$1")} USD`;

/**
 * Formats an exact amount in micro-USD, such as a price part's: `4.700000` is `0.0000047 USD`.
 * @param {string} amount
 */
export function exactUsd(amount) {
	const digits = amount.replace(".", "").padStart(13, "0");
	const fraction = digits.slice(-12).replace(/0+$/, "").padEnd(2, "0");
	return `${digits.slice(0, -12)}.${fraction} USD`;
}
