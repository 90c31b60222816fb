// @ts-check
/** Previews the web page in a `website` answer, in a frame that cannot reach this page. */

/**
 * The HTML in an answer, without the text and the code fence around it; null if there is none.
 * @param {string} answer
 */
export function htmlIn(answer) {
	const found = /<(?:!doctype|[a-z][a-z0-9]*)\b[\s\S]*/i.exec(answer)?.[0];
	return found ? found.replace(/\n?```[\s\S]*$/, "") : null;
}

/** Whether an answer holds a whole document, whatever was asked. @param {string} answer */
export const holdsPage = (answer) => /<(?:!doctype html|html)\b/i.test(answer);

/** @param {HTMLElement} figure @param {string} html */
export function showWebsite(figure, html) {
	const frame = document.createElement("iframe");
	frame.title = "Preview of the answered web page";
	// Without allow-same-origin the frame's origin is opaque, so it can reach neither this page nor
	// its key.
	frame.setAttribute("sandbox", "allow-scripts");
	frame.src = "/playground/preview";
	frame.addEventListener(
		"load",
		() => frame.contentWindow?.postMessage(html, "*"),
		{ once: true },
	);
	const caption = document.createElement("figcaption");
	caption.textContent =
		"A preview of the source above. Its scripts, links and outside pictures are off.";
	figure.replaceChildren(frame, caption);
	figure.hidden = false;
}
