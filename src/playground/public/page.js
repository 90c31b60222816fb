// @ts-check
/** The page's own elements, by id. */

/** @template {HTMLElement} T @param {string} id @param {new () => T} type @returns {T} */
export function element(id, type) {
	const found = document.getElementById(id);
	if (!(found instanceof type)) throw new Error(`the page has no #${id}`);
	return found;
}

/** Shows words, or takes the element away when there are none. @param {HTMLElement} target @param {string} words */
export function say(target, words) {
	target.textContent = words;
	target.hidden = words === "";
}
