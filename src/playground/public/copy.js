// @ts-check
/** Buttons that copy. */
import { announce, quietButton } from "./page.js";

/**
 * @param {string} words on the button
 * @param {() => string} text
 */
export function copyButton(words, text) {
	const button = quietButton(words, async () => {
		button.textContent = (await copy(text())) ? "Copied" : "Not copied";
		announce(button.textContent);
		setTimeout(() => {
			button.textContent = words;
		}, 2000);
	});
	return button;
}

/**
 * Copies a text, also on a page without https.
 * @param {string} text
 * @returns {Promise<boolean>} whether it worked
 */
async function copy(text) {
	try {
		await navigator.clipboard.writeText(text);
		return true;
	} catch {
		const field = document.createElement("textarea");
		field.value = text;
		field.className = "unseen";
		document.body.append(field);
		field.select();
		const copied = document.execCommand("copy");
		field.remove();
		return copied;
	}
}
