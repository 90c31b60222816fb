// @ts-check
/**
 * Runs inside the preview frame, whose origin is opaque: shows the HTML that the page sends, once.
 * Scripts of a parsed document never run, and the frame's policy refuses inline ones anyway.
 */
addEventListener("message", (event) => {
	if (event.source !== parent || typeof event.data !== "string") return;
	const shown = new DOMParser().parseFromString(event.data, "text/html");
	document.replaceChild(shown.documentElement, document.documentElement);
});
