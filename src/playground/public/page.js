// @ts-check
/** The page's elements: found by id, made, filled, and what screen readers are told. */

/** @template {HTMLElement} T @param {string} id @param {new () => T} type @returns {T} */
export function element(id, type) {
	const found = document.getElementById(id);
	if (!(found instanceof type)) throw new Error(`the page has no #${id}`);
	return found;
}

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag @param {string} className @param {(Node | string)[]} children
 */
export function make(tag, className, ...children) {
	const made = document.createElement(tag);
	if (className) made.className = className;
	made.append(...children);
	return made;
}

/** @param {string} words @param {() => void} onClick */
export function quietButton(words, onClick) {
	const button = make("button", "quiet", words);
	button.type = "button";
	button.addEventListener("click", onClick);
	return button;
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

const announcement = element("said", HTMLElement);

/**
 * Has screen readers say something once they are done with what they read: the page's only polite
 * live region.
 * @param {string} words
 */
export function announce(words) {
	announcement.textContent = words;
}
