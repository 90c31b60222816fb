// @ts-check
/** Parts of tables. */
import { make, quietButton } from "../page.js";

/** @param {string} text @param {string} [kind] */
export const cell = (text, kind = "") => make("td", kind, text);

/**
 * @param {string} text
 * @param {string} label for who does not see the row
 * @param {() => void} act
 */
export function button(text, label, act) {
	const made = quietButton(text, act);
	made.setAttribute("aria-label", label);
	return made;
}

const UNITS = /** @type {const} */ ([
	["day", 86_400],
	["hour", 3_600],
	["minute", 60],
]);

/** How long ago, in the reader's language. @param {string} time RFC 3339 */
export function since(time) {
	const seconds = (Date.now() - Date.parse(time)) / 1000;
	const format = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });
	const [unit, length] = UNITS.find(([, each]) => seconds >= each) ?? [
		"second",
		1,
	];
	return format.format(-Math.floor(Math.max(0, seconds) / length), unit);
}
