// @ts-check

/** Formats micro-USD as USD. @param {number} price */
export const usd = (price) =>
	`${(price / 1e6).toFixed(6).replace(/(\.\d\d\d*?)0+$/, "$1")} USD`;
