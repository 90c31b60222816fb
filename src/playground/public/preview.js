// @ts-check
/**
 * Runs inside the preview frame, whose origin is opaque: shows the HTML that the page sends.
 * Scripts of a parsed document never run, and the frame's policy refuses inline ones anyway.
 */
addEventListener("message", (event) => {
	if (event.source !== parent || typeof event.data !== "string") return;
	const shown = new DOMParser().parseFromString(event.data, "text/html");
	// A refresh would replace the preview by an error page.
	for (const meta of shown.querySelectorAll("meta[http-equiv]")) meta.remove();
	document.replaceChild(shown.documentElement, document.documentElement);
});

// A link would do the same. Links within the page stay active.
addEventListener("click", (event) => {
	const link = event.target instanceof Element && event.target.closest("a");
	if (link && !link.getAttribute("href")?.startsWith("#"))
		event.preventDefault();
});
