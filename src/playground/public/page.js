// @ts-check
/** Access to the page's elements by id. */

/** @template {HTMLElement} T @param {string} id @param {new () => T} type @returns {T} */
export function element(id, type) {
	const found = document.getElementById(id);
	if (!(found instanceof type)) throw new Error(`the page has no #${id}`);
	return found;
}

/**
 * Shows a text in an element, or hides the element if the text is empty.
 * @param {HTMLElement} target
 * @param {string} words
 */
export function say(target, words) {
	target.textContent = words;
	target.hidden = words === "";
}
