// @ts-check
/** Keeps the end of the page in view while the user reads there. */

const NEAR = 120;

const distance = () =>
	document.documentElement.scrollHeight - innerHeight - scrollY;

export const scrollToEnd = () =>
	scrollTo(0, document.documentElement.scrollHeight);

/** Changes the page, and stays at its end if that was in view. @param {() => void} change */
export function stayAtEnd(change) {
	const wasAtEnd = distance() < NEAR;
	change();
	if (wasAtEnd) scrollToEnd();
}

/**
 * What has the focus must not lie behind what sticks to the edges, whose heights change.
 * @param {HTMLElement} top @param {HTMLElement} bottom
 */
export function keepClearOf(top, bottom) {
	const { style } = document.documentElement;
	const measure = () => {
		const { position } = getComputedStyle(top);
		style.scrollPaddingTop = `${position === "sticky" ? top.offsetHeight : 0}px`;
		style.scrollPaddingBottom = `${bottom.offsetHeight}px`;
	};
	const watch = new ResizeObserver(measure);
	watch.observe(top);
	watch.observe(bottom);
}
